"""The post of a Ray cluster, without one: who may begin, and that what was said is heard once and in its order."""

import asyncio

from deepfake.execution.gate import Post


def test_nothing_begins_once_it_is_closed_and_what_began_before_is_known():
    async def play():
        post = Post()
        assert await post.begin(0, "left")
        assert await post.begin(1, "right")
        await post.close()
        assert not await post.begin(2, "left")
        return await post.taken()

    answers, said = asyncio.run(play())
    assert answers == 0
    assert said == [("running", 0, "left"), ("running", 1, "right")]


def test_what_is_said_is_heard_once():
    async def play():
        post = Post()
        waiting = asyncio.ensure_future(post.take())
        await asyncio.sleep(0)
        assert not waiting.done()
        await post.say([("news", 0, b"first")])
        heard = await waiting
        await post.say([("news", 0, b"second")])
        return heard, await post.taken(), await post.taken()

    heard, then, later = asyncio.run(play())
    assert heard == [("news", 0, b"first")]
    assert then == (1, [("news", 0, b"second")])
    assert later == (1, [])


def test_a_file_is_asked_for_once_and_given_to_all_who_wait():
    async def play():
        post = Post()
        waiting = [asyncio.ensure_future(post.chunks("hash")) for _ in range(2)]
        await asyncio.sleep(0)
        said = await post.take()
        await post.supply("hash", ["part"])
        await post.supply("hash", ["another"])  # asked for again after the post was begun anew
        return said, await asyncio.gather(*waiting), await post.chunks("hash")

    said, given, again = asyncio.run(play())
    assert said == [("file", None, "hash")]
    assert given == [["part"], ["part"]]
    assert again == ["part"]
