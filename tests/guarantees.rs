//! The pages, the comments and the tests refer to each other, and every reference leads somewhere.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// Returns the texts between backticks.
fn quoted(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2)
}

/// Returns every file below a folder that has this extension.
fn files(folder: PathBuf, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files
}

/// Every test that docs/src/evidence.md names exists: `file::function` is a function of that file.
#[test]
fn every_test_that_the_guarantees_name_exists() {
    let page = read("docs/src/evidence.md");
    let named: Vec<(&str, &str)> = quoted(&page).filter_map(|text| text.split_once(".rs::")).collect();
    assert!(named.len() > 100, "the page names {} tests", named.len());
    let missing: Vec<String> = named
        .into_iter()
        .filter(|(file, function)| !read(&format!("{file}.rs")).contains(&format!("fn {function}(")))
        .map(|(file, function)| format!("{file}.rs::{function}"))
        .collect();
    assert!(missing.is_empty(), "these tests do not exist:\n{}", missing.join("\n"));
}

/// Every file and folder of `tests/` that a page names exists.
#[test]
fn every_test_file_that_a_page_names_exists() {
    let mut pages = vec![root().join("README.md")];
    pages.extend(["ARCHITECTURE.md", "CONTRIBUTING.md", "RELEASE.md"].map(|page| root().join(page)));
    pages.extend(files(root().join("docs"), "md"));
    let mut named = 0;
    for path in pages {
        let page = fs::read_to_string(&path).unwrap();
        for file in quoted(&page).filter(|text| text.starts_with("tests/")) {
            let file = file.split("::").next().unwrap();
            assert!(root().join(file).exists(), "{} names {file}", path.display());
            named += 1;
        }
    }
    assert!(named > 100, "the pages name {named} files");
}

/// Every file of the shared test binary is a module of it. The compiler ignores a file that is not declared, and its
/// tests would not run.
#[test]
fn every_file_of_the_test_binary_is_a_module() {
    let mut folders = vec![(root().join("tests/it"), "main.rs")];
    let mut modules = 0;
    while let Some((folder, parent)) = folders.pop() {
        let declarations = fs::read_to_string(folder.join(parent)).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let is_module = path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with(parent);
            let is_folder = path.join("mod.rs").exists();
            if is_module || is_folder {
                let declaration = format!("mod {name};");
                assert!(
                    declarations.lines().any(|line| line == declaration),
                    "`{declaration}` is missing in {}",
                    folder.join(parent).display()
                );
                modules += 1;
            }
            if is_folder {
                folders.push((path, "mod.rs"));
            }
        }
    }
    assert!(modules > 20, "the binary has {modules} modules");
}

/// Every heading that a comment names exists. A reference consists of the file name of the page, a comma and the
/// heading in quotation marks, all on one line.
#[test]
fn every_heading_that_a_comment_names_exists() {
    let sources: Vec<PathBuf> = ["src", "tests"]
        .into_iter()
        .flat_map(|folder| files(root().join(folder), "rs"))
        .collect();
    let mut named = 0;
    for page in ["guarantees.md", "http.md"] {
        let text = read(&format!("docs/src/{page}"));
        let headings: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches('#').trim())
            .collect();
        let reference = format!("{page}, \"");
        for path in &sources {
            let source = fs::read_to_string(path).unwrap();
            for rest in source.split(&reference).skip(1) {
                let heading = rest.split('"').next().unwrap();
                assert!(
                    headings.contains(&heading),
                    "{} names the heading {heading:?} of {page}, which does not exist",
                    path.display()
                );
                named += 1;
            }
        }
    }
    assert!(named > 10, "the comments name {named} headings");
}

/// An event or a span that the library logs.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Logged {
    macro_name: String,
    target: String,
    text: String,
    fields: Vec<String>,
}

impl Logged {
    /// Returns its row in docs/src/logs.md.
    fn row(&self) -> String {
        let level = match self.macro_name.strip_suffix("_span") {
            Some(level) => level,
            None => &self.macro_name,
        };
        let fields: Vec<String> = self.fields.iter().map(|field| format!("`{field}`")).collect();
        let (level, text, fields) = (level.to_uppercase(), &self.text, fields.join(", "));
        format!("| {level} | `{}` | {text} | {fields} |", self.target)
    }
}

/// Splits the arguments of a macro at its commas. Returns them and the rest after the closing parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let (mut all, mut current) = (Vec::new(), String::new());
    let (mut depth, mut in_text, mut escaped) = (0, false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            '(' | '[' | '{' if !in_text => depth += 1,
            ')' if !in_text && depth == 0 => break,
            ')' | ']' | '}' if !in_text => depth -= 1,
            ',' if !in_text && depth == 0 => {
                all.push(std::mem::take(&mut current));
                continue;
            }
            _ => {}
        }
        current.push(c);
    }
    all.push(current);
    let trimmed = all.into_iter().map(|argument| argument.trim().to_owned());
    trimmed.filter(|argument| !argument.is_empty()).collect()
}

/// Returns everything that a source file logs.
fn logged(path: &Path, text: &str) -> Vec<Logged> {
    let inside = path.strip_prefix(root().join("src")).unwrap().with_extension("");
    let parts = inside.iter().map(|part| part.to_string_lossy().into_owned());
    let parts: Vec<String> = parts.filter(|part| part != "mod").collect();
    let target = format!("abide::{}", parts.join("::"));
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let mut all = Vec::new();
    for (at, _) in code.match_indices("tracing::") {
        let rest = &code[at + "tracing::".len()..];
        let Some((name, rest)) = rest.split_once("!(") else {
            continue;
        };
        let levels = ["error", "warn", "info", "debug", "trace"];
        if !levels.contains(&name.trim_end_matches("_span")) {
            continue;
        }
        let (texts, fields): (Vec<String>, Vec<String>) = arguments(rest)
            .into_iter()
            .partition(|argument| argument.starts_with('"'));
        // A line that ends with a backslash continues without the space at the beginning of the next one.
        let parts: Vec<&str> = texts[0].trim_matches('"').split("\\\n").collect();
        let first = parts[0].to_owned();
        let text = parts[1..].iter().fold(first, |text, part| text + part.trim_start());
        assert!(texts.len() == 1 && !text.contains('{'), "{}: {texts:?}", path.display());
        let field = |field: &String| {
            let name = field.split('=').next().unwrap().trim();
            name.trim_start_matches(['%', '?']).to_owned()
        };
        all.push(Logged {
            macro_name: name.to_owned(),
            target: target.clone(),
            text,
            fields: fields.iter().map(field).collect(),
        });
    }
    all
}

/// docs/src/logs.md lists every event and every span of the library with its level, its target and its fields.
#[test]
fn the_page_about_logs_lists_what_is_logged() {
    let mut events = Vec::new();
    let mut spans = Vec::new();
    for path in files(root().join("src"), "rs") {
        let is_test = |part: &std::ffi::OsStr| {
            ["tests", "tests.rs", "simulation", "bin"]
                .iter()
                .any(|name| part == *name)
        };
        if path.iter().any(is_test) {
            continue;
        }
        for logged in logged(&path, &fs::read_to_string(&path).unwrap()) {
            match logged.macro_name.ends_with("_span") {
                true => spans.push(logged),
                false => events.push(logged),
            }
        }
    }
    assert!(events.len() > 30 && spans.len() > 3, "the sources were not read");
    let rank = |logged: &Logged| {
        ["error", "warn", "info", "debug"]
            .iter()
            .position(|level| logged.macro_name == *level)
    };
    events.sort_by_key(|logged| (rank(logged), logged.target.clone(), logged.text.clone()));
    spans.sort();
    let expected: Vec<String> = events.iter().chain(&spans).map(Logged::row).collect();
    let page = read("docs/src/logs.md");
    let shown: Vec<&str> = page.lines().filter(|line| line.contains("| `abide::")).collect();
    assert_eq!(shown, expected, "the rows should be:\n{}\n", expected.join("\n"));
}
