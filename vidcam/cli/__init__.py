"""The command line: parse, call, exit code. One file a command; nothing heavy at the top."""

import io
import keyword
import logging
import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from vidcam import __version__
from vidcam.cli.options import Commands
from vidcam.errors import VidcamError, redact

COMMANDS = {
    "file": "Explain a video: labels, scores and heat drawn into a copy that plays anywhere.",
    "live": "Explain cameras and streams live: a window, recordings, streams.",
    "image": "Classify pictures: tables, CSV and JSON, labelled pictures and charts.",
    "explain": "Show where the network looked in pictures, by many methods, side by side.",
    "layers": "List a model's layers, and which can carry a map.",
    "data": "Check, split, measure and preview folders of labelled pictures.",
    "train": "Train a classifier from a folder of labelled pictures.",
    "eval": "Measure a model on labelled pictures: metrics, figures, a report.",
    "compare": "Set evaluations side by side: in total and class by class.",
    "import": "Turn a bare state dict, as notebooks save it, into a checkpoint.",
    "cameras": "List the cameras of this machine, their sizes, rates and formats.",
    "models": "List what --model takes.",
    "bench": "Measure what each stage costs on this machine, and say what to change.",
    "doctor": "Say what this machine has, and what vidcam will use.",
}

log = logging.getLogger("vidcam")


class LazyCommands(Commands):
    """Imports a command when it is called, so that --help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        if cmd_name not in COMMANDS:
            return None
        # A module cannot be called as a keyword of the language is.
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"vidcam.cli.{name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; click would write an empty line at a KeyboardInterrupt."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise click.Abort(str(error)) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help's list, without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vidcam")
def cli() -> None:
    """Says what a camera or a video shows, and where the network looked."""


class Lines(logging.Handler):
    """Writes each record as one line to what stderr is now (a progress bar may hold it)."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        prefix = "warning: " if record.levelno == logging.WARNING else ""
        # A terminal or a log that has gone is no reason to stop recording.
        with suppress(OSError, ValueError):
            click.echo(f"vidcam: {prefix}{redact(record.getMessage())}", err=True)


def main() -> None:
    """The entry point: runs a command; every failure is one sentence and an exit code."""
    # A service may start us without either.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - for as long as we run
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot write Chinese gets the codes of the characters.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    log.handlers = [Lines()]
    log.propagate = False
    log.setLevel(logging.INFO)
    # FFmpeg's own messages reach Python's logging; vidcam says what matters in its own words.
    logging.getLogger("libav").setLevel(logging.CRITICAL)
    try:
        code = cli.main(standalone_mode=False, auto_envvar_prefix="VIDCAM", prog_name="vidcam")
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        hint = f" (see {where} --help)" if where else ""
        _fail(f"{error.format_message().rstrip('.')}{hint}", error.exit_code)
    except click.Abort as error:
        _fail(str(error) or "interrupted", 130)
    except VidcamError as error:
        _fail(str(error), error.exit_code, error)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except BrokenPipeError:
        # The reader of our stdout has gone: nothing left to say, and nobody to say it to.
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback before a user
        kind = type(error).__name__
        _fail(f"an error inside vidcam ({kind}: {error}); -v shows where", 1, error)
    sys.exit(code or 0)


def entry() -> None:
    """What a process of its own runs: `main`, then its end at once.

    Python needs more than a second to take torch down, which is too long for a service that is
    asked to stop; by now every output has been closed and every thread that writes has ended.
    """
    # Idle OpenMP threads would spin where decoding, drawing and encoding need the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    code = 1
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    for thread in threading.enumerate():
        # Those of libraries, the workers of torch's exporter among them, wait for ever.
        if thread.name.startswith("vidcam-") and not thread.daemon:
            thread.join()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 1
        except ValueError:  # it has been closed, and that has been reported
            pass
    os._exit(code)


def _fail(message: str, code: int, error: BaseException | None = None) -> None:
    if error is not None and log.isEnabledFor(logging.DEBUG):
        import traceback

        click.echo(redact("".join(traceback.format_exception(error))), err=True)
    click.echo(f"vidcam: {redact(message)}", err=True)
    sys.exit(code)
