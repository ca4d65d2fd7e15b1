"""The command line: a command parses, calls and writes; it imports what is heavy only when it runs."""

import errno
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click

from deepfake.cli import bench, data, doctor, evaluate, predict, report, studies, study, verify
from deepfake.errors import InputError
from deepfake.project import Project, nearest

_MENDABLE = {
    *(errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
}
"""What the user can mend, and gives exit code 2; the rest may pass by itself, and a batch system may try again."""


class _Group(click.Group):
    """Turns what the user can mend into one line and exit code 2, and works from any folder of a project."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command in the nearest project upwards, or where it was called when there is none."""
        here = nearest(Path()) or Project(Path())
        try:
            with here.entered(), _launched() as leads:
                return super().invoke(ctx) if leads else None
        except InputError as error:
            _fail(str(error))
        except BrokenPipeError:
            raise  # click's own: whoever read the output has seen enough
        except OSError as error:
            # disk full, no permission, a file in the way: the operating system's words and the path say it
            _fail(f"{error.filename or 'file system'}: {error.strerror or error}", 2 if error.errno in _MENDABLE else 1)


def _launched() -> AbstractContextManager[bool]:
    """Return the block of a command; of processes that torchrun started only the first carries it out."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return nullcontext(True)
    from deepfake.execution import ranks

    return ranks.launched()


def _fail(message: str, code: int = 2) -> None:
    """Print one line and leave."""
    click.echo(f"deepfake: {message}", err=True)
    sys.exit(code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deepfake")
def main() -> None:
    """A laboratory for deepfake detectors: which one works, why, and will it work on data it has never seen?

    Values come from params.yaml; `dvc repro` runs the commands in their order.
    """


for command in (
    *data.COMMANDS,
    *study.COMMANDS,
    *studies.COMMANDS,
    *evaluate.COMMANDS,
    *predict.COMMANDS,
    *bench.COMMANDS,
    *doctor.COMMANDS,
    *report.COMMANDS,
    *verify.COMMANDS,
):
    main.add_command(command)
