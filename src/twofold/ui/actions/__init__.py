"""What the program can be asked to do: one module for actions that need the same, loaded when one of them is asked for.

A collection-status in a cron job must not pay for loading what makes backups.
"""

from __future__ import annotations

from twofold.ui.assemble import Run
from twofold.ui.commands import Action


def carry_out(run: Run) -> int:
    """Does what the command line asks for; gives the exit code."""
    match run.command.action:
        case Action.BACKUP | Action.FULL | Action.INCREMENTAL:
            from twofold.ui.actions.beginning import begin_ahead

            beginning = begin_ahead(run)
            try:
                from twofold.ui.actions.backing_up import back_up

                return back_up(run, beginning)
            finally:
                beginning.end()
        case Action.RESTORE:
            from twofold.ui.actions.restoring import restore_files

            return restore_files(run)
        case Action.VERIFY:
            from twofold.ui.actions.restoring import verify_files

            return verify_files(run)
        case Action.LIST:
            from twofold.ui.actions.showing import print_list

            return print_list(run)
        case Action.STATUS:
            from twofold.ui.actions.showing import print_status

            return print_status(run)
        case Action.CHECK | Action.REPLICATE | Action.VALIDATE:
            return _own(run)
    return _clear_away(run)


def _own(run: Run) -> int:
    match run.command.action:
        case Action.CHECK:
            from twofold.ui.actions.checking import check_backups

            return check_backups(run)
        case Action.REPLICATE:
            from twofold.ui.actions.replicating import replicate_sets

            return replicate_sets(run)
        case _:  # Action.VALIDATE
            from twofold.ui.actions.validating import validate_target

            return validate_target(run)


def _clear_away(run: Run) -> int:
    from twofold.ui.actions.removing import clean_up, expire

    return clean_up(run) if run.command.action is Action.CLEANUP else expire(run)
