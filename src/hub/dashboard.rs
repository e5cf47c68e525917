//! Where the dashboard's pages are.

use std::path::{Path, PathBuf};

use mdhub_api::Pages;
use tracing::{info, warn};

/// The pages from the folder that was `chosen`, or from where an installation has them. A hub without pages does all else.
pub(super) fn pages(chosen: Option<&Path>) -> Pages {
    let Some(folder) = chosen.map(Path::to_owned).or_else(installed) else {
        info!(
            "no dashboard: http.dashboard (the demo: --dashboard) says where its pages are; `make dashboard` builds them"
        );
        return Pages::default();
    };
    Pages::read(&folder).unwrap_or_else(|error| {
        warn!(folder = %folder.display(), %error, "no dashboard: its pages cannot be read; everything else goes on");
        Pages::default()
    })
}

/// Beside the program, as in `bin` and `share` of one prefix.
fn installed() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    Some(program.parent()?.parent()?.join("share/mdhub/dashboard")).filter(|folder| folder.is_dir())
}
