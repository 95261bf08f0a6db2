//! For tests: which top-level modules ("rooms") of a crate use which. A test lists the edges, and this finds what differs.
//!
//! Test code is left out: tests may use whatever they need.

#![warn(missing_docs)]
#![expect(clippy::unwrap_used, reason = "only tests call this, and it should fail them")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A room, and the rooms that it uses, separated by spaces.
pub type Room<'a> = (&'a str, &'a str);

/// Holds the sources of a crate against the list of its rooms. A room uses only what stands above it in the list, so there
/// is no circle. `reasons` are edges that one would not expect, each with a word why. What comes back is what is wrong.
///
/// # Panics
/// When a source cannot be read.
pub fn differences(source: &Path, rooms: &[Room<'_>], reasons: &[(&str, &str, &str)]) -> Vec<String> {
    let (listed, found) = (listed(rooms), edges_of_crate(source));
    let mut problems = problems(rooms, &listed, &found);
    let unlisted = reasons.iter().filter(|(from, to, _)| !listed.contains(&edge(from, to)));
    problems.extend(
        unlisted.map(|(from, to, why)| format!("{from} -> {to} has a reason ({why}) and is not listed")),
    );
    problems
}

type Edges = BTreeSet<(String, String)>;

/// What is wrong with the list, or with the code.
fn problems(rooms: &[Room<'_>], listed: &Edges, found: &Edges) -> Vec<String> {
    let told = |text: &str, (from, to): &(String, String)| format!("{from} -> {to} {text}");
    let new = found.difference(listed).map(|edge| told("is not listed", edge));
    let gone = listed.difference(found).map(|edge| told("is listed, but no longer there", edge));
    let place = |room: &str| rooms.iter().position(|(name, _)| *name == room);
    let upward = found.iter().filter(|(from, to)| place(from) <= place(to));
    let circles = circle(found).map(|rooms| format!("a circle: {}", rooms.join(" -> ")));
    let problems = new.chain(gone).chain(upward.map(|edge| told("goes upward in the list", edge)));
    problems.chain(circles).collect()
}

fn listed(rooms: &[Room<'_>]) -> Edges {
    rooms.iter().flat_map(|(from, uses)| uses.split_whitespace().map(|to| edge(from, to))).collect()
}

fn edge(from: &str, to: &str) -> (String, String) {
    (from.to_owned(), to.to_owned())
}

/// A way round that comes back to where it began, if there is one.
fn circle(edges: &Edges) -> Option<Vec<String>> {
    let mut rest: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in edges {
        rest.entry(from).or_default().push(to);
        rest.entry(to).or_default();
    }
    // What uses nothing that is left is in no circle.
    while let Some(free) = rest.iter().find(|(_, to)| to.iter().all(|to| !rest.contains_key(to))) {
        let free = *free.0;
        rest.remove(free);
    }
    let mut walked: Vec<String> = Vec::new();
    let mut next = *rest.keys().next()?;
    loop {
        if let Some(start) = walked.iter().position(|room| room == next) {
            walked.push(next.to_owned());
            return Some(walked.split_off(start));
        }
        walked.push(next.to_owned());
        next = rest.get(next)?.iter().find(|to| rest.contains_key(*to))?;
    }
}

/// The edges of every source file below a folder.
fn edges_of_crate(source: &Path) -> Edges {
    let rooms = modules(&fs::read_to_string(source.join("lib.rs")).unwrap());
    let mut edges = Edges::new();
    for room in &rooms {
        let mut files = vec![source.join(format!("{room}.rs"))];
        files.extend(files_below(&source.join(room)));
        for file in files.iter().filter(|file| file.is_file() && !is_test(file)) {
            let text = fs::read_to_string(file).unwrap();
            edges.extend(used(&text, depth(file, source), room, &rooms));
        }
    }
    edges
}

/// How many modules a file is below its crate: one for a room, two for a file in it.
fn depth(file: &Path, source: &Path) -> usize {
    let parts = file.strip_prefix(source).unwrap().components().count();
    if file.ends_with("mod.rs") { parts - 1 } else { parts }
}

/// Files that are only there for tests, by their names.
fn is_test(file: &Path) -> bool {
    let mut names = file.iter().map(|part| part.to_str().unwrap().trim_end_matches(".rs"));
    names.any(|name| name == "tests" || name.ends_with("_tests"))
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// The modules that a file declares.
fn modules(text: &str) -> BTreeSet<String> {
    let lines = code(text);
    let names = lines
        .lines()
        .filter_map(|line| line.trim().trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// The rooms that a text uses, written in a file of `room` that is `depth` modules below the crate.
fn used(text: &str, depth: usize, room: &str, rooms: &BTreeSet<String>) -> Edges {
    let text = code(text);
    let above = format!("{}::", vec!["super"; depth].join("::"));
    let mut firsts = Vec::new();
    for root in ["crate::", above.as_str()] {
        for (at, _) in text.match_indices(root) {
            // A longer path of the same words is another one: `super::super::x` is not `super::x`.
            let before = text[..at].chars().next_back();
            if before.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_' && letter != ':') {
                firsts.extend(first_names(&text[at + root.len()..]));
            }
        }
    }
    let others = firsts.into_iter().filter(|name| name != room && rooms.contains(name));
    others.map(|name| edge(room, &name)).collect()
}

/// The first name of each path after a root: one, or several in braces.
fn first_names(rest: &str) -> Vec<String> {
    let name =
        |text: &str| text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(name(group[start..at].trim_start()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(name(group[start..at].trim_start()));
                start = at + 1;
            }
            _ => (),
        }
    }
    names
}

/// A text without comments, and without what is only compiled for tests.
fn code(text: &str) -> String {
    let uncommented: Vec<&str> =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let text = uncommented.join("\n");
    let mut parts = text.split("#[cfg(test)]");
    let mut code = parts.next().unwrap_or_default().to_owned();
    parts.for_each(|part| code += after_item(part));
    code
}

/// What comes after the first item of a text: after its semicolon, or its braces.
fn after_item(text: &str) -> &str {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            ';' if depth == 0 => return &text[at + 1..],
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return &text[at + 1..];
                }
            }
            _ => (),
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, depth: usize, expected: &str) {
        let rooms = ["a", "b", "c", "here"].map(str::to_owned).into();
        let found: Vec<String> = used(text, depth, "here", &rooms).into_iter().map(|(_, to)| to).collect();
        assert_eq!(found.join(" "), expected, "{text}");
    }

    #[test]
    fn every_way_to_name_a_room_is_found() {
        check("use crate::a::X;", 1, "a");
        check("pub use crate::a;", 1, "a");
        check("use crate::{a, b::{c, Y}};", 1, "a b");
        check("use crate::{\n    a::{X, Y},\n    c,\n};", 1, "a c");
        check("fn f(x: crate::b::X) { crate::c::f(x) }", 1, "b c");
        check("pub(in crate::a) fn f() {}", 1, "a");
        check("use super::a::X;", 1, "a");
        check("use super::super::{a, b::X};", 2, "a b");
    }

    #[test]
    fn what_is_not_a_room_is_not_found() {
        check("use super::a::X;", 2, "");
        check("use super::super::a;", 3, "");
        check("use other_crate::a::X;", 1, "");
        check("use crate::here::X;", 1, "");
        check("use crate::Root;", 1, "");
        check("//! See [`crate::a`].\nlet x = 1; // crate::b", 1, "");
    }

    #[test]
    fn tests_are_left_out_and_what_comes_after_them_is_not() {
        check("#[cfg(test)]\nmod tests {\n    use crate::a; fn f() {}\n}\nuse crate::b;", 1, "b");
        check("#[cfg(test)]\nmod tests;\nuse crate::c;", 1, "c");
        assert!(is_test(Path::new("src/plan/tests.rs")) && is_test(Path::new("src/plan/tests/laws.rs")));
        assert!(
            is_test(Path::new("src/decide/platform_limits_tests.rs"))
                && !is_test(Path::new("src/decide/mod.rs"))
        );
    }

    #[test]
    fn modules_count_whoever_sees_them() {
        let declared = "mod a;\npub mod b;\n#[cfg(test)]\nmod c_tests;\npub use a::X;";
        assert_eq!(modules(declared).into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn each_kind_of_problem_is_told() {
        let told = |rooms: &[Room<'_>], found: &[(&str, &str)]| {
            problems(rooms, &listed(rooms), &found.iter().map(|(from, to)| edge(from, to)).collect())
                .join("; ")
        };
        let rooms = [("a", ""), ("b", "a"), ("c", "b")];
        assert_eq!(told(&rooms, &[("b", "a"), ("c", "b")]), "");
        assert_eq!(told(&rooms, &[("b", "a"), ("c", "b"), ("c", "a")]), "c -> a is not listed");
        assert_eq!(told(&rooms, &[("c", "b")]), "b -> a is listed, but no longer there");
        let round = [("a", "b"), ("b", "a")];
        assert_eq!(told(&round, &round), "a -> b goes upward in the list; a circle: a -> b -> a");
    }
}
