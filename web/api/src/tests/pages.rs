//! The dashboard's files, over a real socket.

use std::path::PathBuf;

use super::doors::header_of;
use super::*;

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mdhub-pages-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, text).expect("written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A small export, with a secret beside it and a link to it.
fn exported(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.put("secret.txt", "nobody reads this");
    folder.put("out/index.html", "<!doctype html><script src=\"/boot.js\"></script><script>start()</script>home");
    folder.put("out/accounts.html", "<!doctype html>the accounts");
    folder.put("out/accounts/data.txt", "payload");
    folder.put("out/404.html", "<!doctype html>no such page");
    folder.put("out/boot.js", "boot()");
    folder.put("out/_next/static/chunks/a1.js", &"long()".repeat(1_000));
    folder.put("out/icon.svg", "<svg/>");
    std::os::unix::fs::symlink(folder.0.join("secret.txt"), folder.0.join("out/link.txt")).expect("a link");
    folder
}

async fn open(folder: &Folder) -> Port {
    let pages = Pages::read(&folder.0.join("out")).expect("pages");
    Port::showing(pages, Http::default(), Arc::new(|| Ok(())), std::future::pending()).await
}

#[tokio::test]
async fn pages_and_their_files_come_with_type_and_how_long_they_hold() {
    let folder = exported("types");
    let port = open(&folder).await;
    let lasting = "public, max-age=31536000, immutable";
    for (path, code, kind, cache, part) in [
        ("/", 200, "text/html; charset=utf-8", "no-cache", "home"),
        ("/?account=a", 200, "text/html; charset=utf-8", "no-cache", "home"),
        ("/accounts", 200, "text/html; charset=utf-8", "no-cache", "the accounts"),
        ("/accounts/data.txt", 200, "text/plain; charset=utf-8", "no-cache", "payload"),
        ("/boot.js", 200, "text/javascript; charset=utf-8", "no-cache", "boot()"),
        ("/icon.svg", 200, "image/svg+xml", "no-cache", "<svg/>"),
        ("/_next/static/chunks/a1.js", 200, "text/javascript; charset=utf-8", lasting, "long()"),
        ("/nothing", 404, "text/html; charset=utf-8", "no-cache", "no such page"),
        ("/_next/static/chunks/old.js", 404, "text/html; charset=utf-8", "no-cache", "no such page"),
    ] {
        let (found, head, body) = port.ask(path, "").await;
        assert_eq!((found, header_of(&head, "content-type")), (code, Some(kind)), "{path}: {head}");
        assert_eq!(header_of(&head, "cache-control"), Some(cache), "{path}");
        assert!(body.contains(part), "{path}: {body}");
        let (code_of_head, _, body) =
            talk(TcpStream::connect(port.address).await.expect("connects"), "HEAD", path, "").await;
        assert_eq!((code_of_head, body.as_str()), (code, ""), "{path}");
    }
    let (code, head, _) = port.ask("/accounts/", "").await;
    assert_eq!((code, header_of(&head, "location")), (308, Some("/accounts")));
    let (code, head, _) = port.send("POST", "/accounts", "", "").await;
    assert_eq!((code, header_of(&head, "allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn what_the_browser_has_is_not_sent_again_and_long_files_are_shortened() {
    let folder = exported("tags");
    let port = open(&folder).await;
    let (_, head, _) = port.ask("/accounts", "").await;
    let tag = header_of(&head, "etag").expect("a tag").to_owned();
    for (known, code) in [(tag.as_str(), 304), ("\"other\"", 200), ("*", 304), (&format!("\"other\", {tag}"), 304)] {
        let (found, _, body) = port.ask("/accounts", &format!("If-None-Match: {known}\r\n")).await;
        assert_eq!((found, body.is_empty()), (code, code == 304), "{known}");
    }
    let (_, head, _) = port.ask("/boot.js", "").await;
    assert_ne!(header_of(&head, "etag"), Some(tag.as_str()));
    let mut socket = TcpStream::connect(port.address).await.expect("connects");
    let ask = "GET /_next/static/chunks/a1.js HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";
    socket.write_all(ask.as_bytes()).await.expect("asked");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.expect("answered");
    let head = String::from_utf8_lossy(&answer[..600.min(answer.len())]).to_ascii_lowercase();
    assert!(head.contains("content-encoding: gzip") && answer.len() < 2_000, "{} bytes: {head}", answer.len());
}

#[tokio::test]
async fn a_page_may_run_its_own_inline_scripts_and_no_other() {
    let folder = exported("policy");
    let port = open(&folder).await;
    let policy = |head: &str| header_of(head, "content-security-policy").expect("a policy").to_owned();
    let (_, head, _) = port.ask("/", "").await;
    // Of `start()`, by `printf 'start()' | openssl dgst -sha256 -binary | base64`.
    let expected = "script-src 'self' 'sha256-DIm7WJS6ZKDYe5qFLPy+h4JFI9Bol5QmYC57mt3Fb00=';";
    assert!(policy(&head).contains(expected), "{}", policy(&head));
    assert!(policy(&head).starts_with("default-src 'none';") && !policy(&head).contains("unsafe"));
    let (_, head, _) = port.ask("/accounts", "").await;
    assert!(policy(&head).contains("script-src 'self';"), "{}", policy(&head));
}

#[tokio::test]
async fn no_path_leads_out_of_the_folder() {
    let folder = exported("tricks");
    let port = open(&folder).await;
    for path in [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/accounts/../../secret.txt",
        "//secret.txt",
        "/..\\secret.txt",
        "/accounts%00.html",
        "/link.txt",
        "/./index",
    ] {
        let (code, _, body) = port.ask(path, "").await;
        assert!((400..500).contains(&code) && !body.contains("nobody reads this"), "{path}: {code} {body}");
    }
}

#[tokio::test]
async fn a_hub_without_pages_says_how_to_get_them_and_answers_all_else() {
    let port = Port::well().await;
    let (code, head, body) = port.ask("/", "").await;
    assert_eq!((code, header_of(&head, "content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(body.contains("make dashboard") && body.contains("http.dashboard"), "{body}");
    assert_eq!(port.ask("/accounts", "").await.0, 404);
    assert_eq!(port.ask("/health", "").await.0, 200);
}

#[test]
fn a_folder_that_is_no_dashboard_is_refused() {
    let folder = Folder::new("refused");
    let why = |folder: &Folder| Pages::read(&folder.0).expect_err("refused").to_string();
    assert!(why(&folder).contains("index.html"), "{}", why(&folder));
    for n in 0..4_100 {
        folder.put(&format!("{n}.txt"), "");
    }
    assert!(why(&folder).contains("4096 files"), "{}", why(&folder));
    assert!(Pages::read(&folder.0.join("absent")).is_err());
}
