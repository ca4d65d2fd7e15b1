"""What long work told of itself and gave to be done, kept for a test."""

from deepfake.progress import FoldNews, Progress


class Heard(Progress):
    """Keeps all that it is told."""

    def __init__(self):
        self.lines: list[str] = []
        self.steps: list[tuple[str, int, int]] = []
        self.folds: list[FoldNews] = []
        self.begun = 0

    def say(self, line: str) -> None:
        self.lines.append(line)

    def begin(self) -> None:
        self.begun += 1

    def advance(self, title: str, done: int, total: int) -> None:
        self.steps.append((title, done, total))

    def news(self, news: FoldNews) -> None:
        self.folds.append(news)


class InProcess:
    """An executor that runs jobs one after the other, here, and keeps what it was given."""

    def __init__(self):
        self.calls: list[list] = []

    def workers(self) -> int:
        return 1

    def run(self, function, jobs, *, on_news, remedy, on_state=lambda state: None) -> None:
        self.calls.append(list(jobs))
        for job in self.calls[-1]:
            function(job, on_news)
