"""Where the repository, the built programs and the recorded data are."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
_BUILT = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "debug"

MDHUB = Path(os.environ.get("MDHUB_BIN", _BUILT / "mdhub"))
SIMULATED_LIBRARY = MDHUB.parent / "libmdhub_simapi.so"
RUST_EXAMPLE = MDHUB.parent / "examples" / "subscriber"
PYTHON_EXAMPLE = REPOSITORY / "examples" / "python" / "subscriber.py"
README = REPOSITORY / "README.md"
RECORDED_DATA = REPOSITORY.parent / "shared" / "data"


def missing_builds() -> list[str]:
    """The built files that the suite needs and cannot find."""
    return [str(path) for path in (MDHUB, SIMULATED_LIBRARY, RUST_EXAMPLE) if not path.is_file()]
