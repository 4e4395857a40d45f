//! What each folder may know, read from the sources: the borders that ARCHITECTURE.md draws.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every source file under `src`, with its text, but for tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("tests") || path.ends_with("tests.rs") || path.ends_with("simulation") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
                files.push((path, code));
            }
        }
    }
    assert!(files.len() > 50, "the sources were not found");
    files
}

/// The folder under `src` that a file is in, if it is in one.
fn folder(path: &Path) -> Option<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = path.strip_prefix(source).unwrap();
    (inside.components().count() > 1).then(|| inside.iter().next().unwrap().to_string_lossy().into_owned())
}

/// The code of a file without its comments.
fn code(text: &str) -> String {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

/// The engine performs no I/O, reads no clock and draws no chance: none of the ways to do so is named in it.
#[test]
fn the_engine_is_sans_io() {
    let forbidden = [
        "tokio",
        "rocksdb",
        "Instant",
        "SystemTime::now",
        "std::fs",
        "std::net",
        "std::thread",
        "Uuid",
        "rand::",
        "RandomState",
    ];
    for (path, text) in sources() {
        if folder(&path).as_deref() == Some("engine") {
            for word in forbidden {
                assert!(!code(&text).contains(word), "{} names `{word}`", path.display());
            }
        }
    }
}

/// What belongs to every folder: the look of errors, failures and payloads, the time, the words of the domain and the
/// keys of its tables.
const GROUND_FLOOR: [&str; 6] = ["canonical", "failure", "json", "model", "schema", "time"];

/// The folders that each folder may use, as the code map of ARCHITECTURE.md tells.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("schema", &[]),
    ("log", &["log"]),
    ("store", &["store", "log"]),
    ("commit", &["commit", "store"]),
    ("views", &["views", "store"]),
    ("engine", &["engine", "store", "views"]),
    ("entity", &["entity", "engine"]),
    ("activity", &["activity", "entity", "engine"]),
    ("orchestration", &["orchestration", "activity", "entity", "engine"]),
    ("transport", &["transport"]),
    ("runtime", &["runtime", "engine", "commit", "store", "transport"]),
    (
        "client",
        &[
            "client",
            "orchestration",
            "runtime",
            "entity",
            "engine",
            "store",
            "views",
        ],
    ),
    (
        "http",
        &["http", "hub", "schedule", "client", "orchestration", "entity"],
    ),
    ("http_client", &["http_client", "orchestration", "activity", "entity"]),
    (
        "testing",
        &[
            "testing",
            "hub",
            "http_client",
            "client",
            "runtime",
            "activity",
            "engine",
            "store",
            "views",
        ],
    ),
    ("schedule", &["schedule", "client", "orchestration", "entity", "store"]),
];

/// The commit path knows the store's trait and not what a commit means; the store knows nothing above it.
#[test]
fn the_lower_folders_know_nothing_above_them() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    for (folder, uses) in uses() {
        if let Some(allowed) = allowed.get(folder.as_str()) {
            let strangers: Vec<&String> = uses
                .iter()
                .filter(|used| !allowed.contains(&used.as_str()) && !GROUND_FLOOR.contains(&used.as_str()))
                .collect();
            assert!(strangers.is_empty(), "{folder} uses {strangers:?}");
        }
    }
}

/// The column "may use" of the code map is the table above.
#[test]
fn the_code_map_tells_the_borders() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    for (folder, allowed) in ALLOWED {
        if GROUND_FLOOR.contains(folder) {
            continue;
        }
        let start = format!("| `src/{folder}/` |");
        let row = page.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("the code map lacks `src/{folder}/`"));
        let column = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let told: BTreeSet<&str> = column.split('`').skip(1).step_by(2).collect();
        let held: BTreeSet<&str> = allowed.iter().copied().filter(|used| used != folder).collect();
        assert_eq!(told, held, "the code map about `src/{folder}/`");
    }
}

/// The core of the engine is its loop, in one file. Whoever wants to know what a part of it does looks at the part,
/// whose fields are its own.
#[test]
fn the_core_is_the_loop_alone() {
    let is_core = |(path, text): &(PathBuf, String)| {
        folder(path).as_deref() == Some("engine") && code(text).contains("impl Core {") && !path.ends_with("recount.rs")
    };
    let files: Vec<PathBuf> = sources().into_iter().filter(is_core).map(|(path, _)| path).collect();
    assert!(files.len() == 1 && files[0].ends_with("engine/core.rs"), "{files:?}");
}

/// A file names the module of what it uses, not the root, whose names are for users.
#[test]
fn nothing_is_used_by_way_of_the_root() {
    for (path, text) in sources() {
        let is_user = folder(&path).is_none_or(|folder| folder == "bin");
        let code = code(&text);
        let by_root = code.match_indices("crate::").find(|(at, _)| {
            let before = code[..*at].chars().next_back();
            let after = code[at + 7..].chars().next();
            before.is_none_or(|c| !c.is_alphanumeric() && c != ':') && after.is_some_and(char::is_uppercase)
        });
        assert!(is_user || by_root.is_none(), "{}: {by_root:?}", path.display());
    }
}

/// No two folders use each other, directly or over others.
#[test]
fn folders_have_no_cycles() {
    let uses = uses();
    for start in uses.keys() {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&String> = uses[start].iter().filter(|used| *used != start).collect();
        while let Some(folder) = next.pop() {
            assert!(folder != start, "{start} is used by what it uses");
            if seen.insert(folder) {
                next.extend(uses.get(folder).into_iter().flatten().filter(|used| *used != folder));
            }
        }
    }
}

/// Which folders each folder names after `crate::`.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources();
    let folders: BTreeSet<String> = sources.iter().filter_map(|(path, _)| folder(path)).collect();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in &sources {
        let Some(folder) = folder(path) else { continue };
        let named = code(text);
        let named = named.split("crate::").skip(1).map(|rest| {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            rest[..end].to_owned()
        });
        uses.entry(folder)
            .or_default()
            .extend(named.filter(|name| folders.contains(name)));
    }
    uses
}
