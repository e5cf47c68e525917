//! The C library: compiled once for all tests, told what to do by a file, and heard through another.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

/// The variable by which the library finds its script and its journal.
pub(super) const VARIABLE: &str = "INDEPENDENT_VENDOR";

const SOURCES: [&str; 6] = ["api.c", "journal.c", "layout.c", "script.c", "spi.c", "storm.c"];

/// The compiled library.
pub(super) fn compiled() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(compile)
}

#[expect(clippy::disallowed_methods, reason = "the compiler is a process")]
fn compile() -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/independent_vendor");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Another run of these tests may be loading it: so it changes by its name, never in place.
    let (made, library) =
        (target.join(format!("independent_vendor.{}", std::process::id())), target.join("independent_vendor.so"));
    let mut compiler = std::process::Command::new("cc");
    compiler
        .args(["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"])
        .args(["-shared", "-fPIC", "-pthread", "-Wl,-z,defs", "-o"])
        .arg(&made)
        .args(SOURCES.map(|source| sources.join(source)));
    let output = compiler.output().expect("cc is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&made, &library).expect("renamed");
    library
}

/// The bytes as the script writes them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// The method that the worker called, or the callback that the library did.
    pub(super) name: String,
    /// The callback during which it was called, on the same thread; `-` for none.
    pub(super) inside: String,
    pub(super) arguments: Vec<String>,
}

impl Call {
    fn parse(line: &str) -> Self {
        let mut parts = line.split('\t').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        Self { name: part(), inside: part(), arguments: parts.collect() }
    }
}

/// One library's script and journal.
pub(super) struct Script {
    dir: TempDir,
    written: AtomicUsize,
}

impl Script {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for file in ["script", "journal"] {
            std::fs::write(dir.path().join(file), "").expect("written");
        }
        Self { dir, written: AtomicUsize::new(0) }
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Lets the library go on with these lines; returns how many it will then have obeyed in all.
    pub(super) fn add<S: AsRef<str>>(&self, lines: &[S]) -> usize {
        let text: String = lines.iter().map(|line| format!("{}\n", line.as_ref())).collect();
        let script = OpenOptions::new().append(true).open(self.dir.path().join("script"));
        script.and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
        self.written.fetch_add(lines.len(), Ordering::Relaxed) + lines.len()
    }

    /// What has happened so far, in order.
    pub(super) fn journal(&self) -> Vec<Call> {
        let text = std::fs::read(self.dir.path().join("journal")).expect("readable");
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        String::from_utf8_lossy(&text[..whole]).lines().map(Call::parse).collect()
    }
}
