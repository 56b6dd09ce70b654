"""Commands of the simulator."""

from egotwin_model.cli import Command

EXTRA = "egotwin-training[world]"

COMMANDS = (
    Command("data world", "training.simulator.generate", "make training clips in the simulated world", EXTRA),
    Command(
        "data sequences",
        "training.simulator.long_sequences",
        "record long simulated sequences in Nymeria's form",
        EXTRA,
    ),
    Command("data show", "training.simulator.show", "draw clips on a contact sheet, or as a film with skeleton", EXTRA),
)
