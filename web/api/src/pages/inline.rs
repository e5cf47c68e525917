//! Scripts that stand in a page itself.

/// What is between `<script ...>` and `</script>` of those that have no `src`, as the browser hashes it.
pub(super) fn scripts(page: &str) -> impl Iterator<Item = &str> {
    let mut rest = page;
    std::iter::from_fn(move || {
        loop {
            let at = find(rest, "<script")?;
            let after = &rest[at + "<script".len()..];
            let head = tag_end(after)?;
            let body = &after[head + 1..];
            let end = find(body, "</script")?;
            rest = &body[end..];
            let attributes = &after[..head];
            // `<scripted>` is no script.
            let is_script =
                attributes.is_empty() || attributes.starts_with(|c: char| c.is_ascii_whitespace() || c == '/');
            if is_script && !has_source(attributes) {
                return Some(&body[..end]);
            }
        }
    })
}

/// Where `what` first stands, in letters of either case.
fn find(text: &str, what: &str) -> Option<usize> {
    text.as_bytes().windows(what.len()).position(|window| window.eq_ignore_ascii_case(what.as_bytes()))
}

/// Where a tag's `>` is: not within quotes.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quote = None;
    tag.bytes().position(|byte| {
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
            None => return byte == b'>',
        }
        false
    })
}

/// Whether one of the attributes is `src`: its name, not what stands in another's value.
fn has_source(attributes: &str) -> bool {
    let mut quote = None;
    let outside: String = attributes
        .chars()
        .filter(|c| {
            match quote {
                Some(open) if *c == open => quote = None,
                Some(_) => return false,
                None if matches!(c, '"' | '\'') => quote = Some(*c),
                None => {}
            }
            true
        })
        .collect();
    let names = outside.split(|c: char| c.is_ascii_whitespace() || c == '/');
    names.filter_map(|name| name.split('=').next()).any(|name| name.eq_ignore_ascii_case("src"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_in_the_page_itself_is_found() {
        for (page, expected) in [
            ("", &[][..]),
            ("<p>no script</p>", &[]),
            ("<script>a()</script>", &["a()"]),
            ("<SCRIPT type=\"module\">\na\n</SCRIPT>x<script async>b</script >", &["\na\n", "b"]),
            ("<script src=\"/a.js\"></script><script>c</script>", &["c"]),
            ("<script async src='/a.js'/></script>", &[]),
            ("<script data-src=\"x\" id=\"src=\">d</script>", &["d"]),
            ("<script title=\"a>b\">if (a < b) e('<p>')</script>", &["if (a < b) e('<p>')"]),
            ("<scripted>no</scripted></script><script></script>", &[""]),
            ("<script>never ends", &[]),
            ("<script", &[]),
        ] {
            assert_eq!(scripts(page).collect::<Vec<_>>(), expected, "{page}");
        }
    }
}
