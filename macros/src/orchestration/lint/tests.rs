//! Code that the lint rejects or allows.

use proc_macro2::TokenStream;
use syn::parse::Parser;

use super::*;

fn function(body: &str) -> ItemFn {
    syn::parse_str(&format!(
        "async fn orchestrated(ctx: OrchestrationContext) {{ {body} }}"
    ))
    .unwrap()
}

/// Returns the findings of the lint in a body.
fn findings(body: &str) -> Vec<String> {
    let mut lint = Lint::default();
    lint.visit_block(&function(body).block);
    lint.findings.into_iter().map(|finding| finding.message).collect()
}

/// Each of these bodies is rejected once, with the appropriate advice.
#[test]
fn nondeterministic_code_is_rejected() {
    for (advice, bodies) in [
        (
            "ctx.current_utc_time()",
            &[
                "let now = SystemTime::now();",
                "let now = ::std::time::Instant::now();",
                "let now = <std::time::SystemTime>::now();",
                "let now = <std::time::SystemTime as Clock>::now();",
                "let now = tokio::time::Instant::now();",
                "let now = Utc::now();",
                "let now = chrono::Local::now();",
                "let now = OffsetDateTime::now_utc();",
                "let now = jiff::Zoned::now();",
                "let now = r#SystemTime::r#now();",
                "let now = time.unwrap_or_else(SystemTime::now);",
                "let late = begin.elapsed() > limit;",
                "let late = begin.elapsed().unwrap().as_secs();",
            ][..],
        ),
        (
            "ctx.new_guid()",
            &[
                "let id = Uuid::new_v4();",
                "let id = uuid::Uuid::now_v7();",
                "let id = ids.map(|_| Uuid::new_v4());",
                "let id = Ulid::new();",
                "let id = nanoid!(10);",
                "let id = nanoid::nanoid!();",
            ],
        ),
        (
            "ctx.random()",
            &[
                "let draw: u8 = rand::random();",
                "let draw = rand::rng().random_range(0..6);",
                "let draw = thread_rng().gen_range(0..6);",
                "let draw = random::<u8>();",
                "let draw = fastrand::u8(..);",
                "let seeded = StdRng::from_os_rng();",
                "let seeded = StdRng::seed_from_u64(OsRng::next());",
                "use rand::Rng;",
                "use {std::fmt, rand::{Rng as _}};",
                "use fastrand::*;",
            ],
        ),
        ("BTreeMap", &["let map = HashMap::with_hasher(RandomState::new());"]),
        (
            "ctx.create_timer(duration)",
            &[
                "tokio::time::sleep(second).await;",
                "time::sleep(second).await;",
                "sleep(second).await;",
                "let every = tokio::time::interval(second);",
                "thread::sleep(second);",
                "let done = tokio::time::timeout(second, step).await;",
            ],
        ),
        (
            "ctx.call_activity",
            &[
                "tokio::spawn(work());",
                "tokio::task::spawn_blocking(work);",
                "spawn_blocking(work);",
                "let runtime = tokio::runtime::Handle::current();",
            ],
        ),
        (
            "ctx.wait_for_external_event",
            &[
                "let (sender, receiver) = tokio::sync::oneshot::channel::<u8>();",
                "let lock = tokio::sync::Mutex::new(());",
            ],
        ),
        (
            "in an activity",
            &[
                "let text = std::fs::read_to_string(path)?;",
                "let text = fs::read_to_string(path)?;",
                "let file = File::open(path)?;",
                "let text = tokio::fs::read(path).await?;",
                "let stream = std::net::TcpStream::connect(address)?;",
                "let stream = TcpStream::connect(address).await?;",
                "let home = std::env::var(\"HOME\");",
                "let home = env::var(\"HOME\");",
                "std::process::exit(1);",
                "let child = process::Command::new(\"ls\");",
                "let page = reqwest::get(url).await?;",
                "let page = ureq::get(url);",
                "smol::block_on(work());",
                "async_std::task::yield_now().await;",
                "tokio::something_new();",
            ],
        ),
        (
            "an activity",
            &["std::thread::spawn(work);", "let id = thread::current().id();"],
        ),
        (".await", &["futures::executor::block_on(work());", "block_on(work());"]),
        (
            "futures::join!",
            &["tokio::join!(a, b);", "let both = tokio::try_join!(a, b)?;"],
        ),
        ("std::pin::pin!", &["tokio::pin!(step);"]),
        (
            "futures::select_biased!",
            &[
                "select! { a = first => {}, b = second => {} }",
                "let winner = futures::select! { a = first => 1, b = second => 2 };",
                "tokio::select! { a = first => {} }",
                "tokio::select! { biased => {} }",
            ],
        ),
    ] {
        for body in bodies {
            let found = findings(body);
            assert_eq!(found.len(), 1, "{body}: {found:?}");
            assert!(found[0].contains(advice), "{body}: {found:?}");
        }
    }
}

/// The lint finds nondeterministic code at any place in the body.
#[test]
fn the_whole_body_is_walked() {
    for body in [
        "SystemTime::now()",
        "if deep { loop { match x { Some(_) if y => { SystemTime::now(); } _ => {} } } }",
        "let read = || SystemTime::now();",
        "let read = async move { SystemTime::now() };",
        "let read = async || { SystemTime::now() };",
        "fn nested() -> SystemTime { SystemTime::now() }",
        "mod inner { impl Clock { fn read(&self) -> SystemTime { SystemTime::now() } } }",
        "const NOW: fn() -> SystemTime = SystemTime::now;",
        "let Some(x) = y else { return SystemTime::now() };",
        "let clock = Clock { read: SystemTime::now };",
        "println!(\"{:?}\", SystemTime::now());",
        "let all = vec![SystemTime::now(); 2];",
        "let both = futures::join!(a(), b(SystemTime::now()));",
        "tracing::info!(now = ?SystemTime::now(), \"text\");",
        "let json = json!({ \"now\": SystemTime::now(), \"rand\": 1 });",
        "let it = matches!(SystemTime::now().cmp(&x), Less | Equal);",
        "select_biased! { a = first => { let now = SystemTime::now(); } b = second => {} }",
        "tokio::select! { biased; a = first(SystemTime::now()) => {} }",
        "select_biased! { a = first.fuse() => x = begin.elapsed(), complete => {} }",
        "select_biased! { a = first => outer!(b => inner!(SystemTime::now())), }",
        "macro_rules! now { () => { SystemTime::now() } }",
    ] {
        assert_eq!(findings(body).len(), 1, "{body}: {:?}", findings(body));
    }
}

/// Similar names and deterministic code are allowed.
#[test]
fn harmless_code_is_allowed() {
    for body in [
        "let now = ctx.current_utc_time();",
        "let draw = ctx.random().next_u64();",
        "let random = 4; let rand = random; let time = rand;",
        "let draw = dice.random();",
        "let done = dice::random;",
        "let begin: SystemTime = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);",
        "let begin: tokio::time::Instant = given;",
        "let id = Uuid::from_u128(1); let other = Uuid::new_v5(&space, b\"name\");",
        "let address = std::net::Ipv4Addr::new(127, 0, 0, 1);",
        "let part = timer.elapsed(now);",
        "process::order(x).await; net::connect(); thread::posts(); env::from(x);",
        "println!(\"SystemTime::now() {}\", random);",
        "let all = json!({ \"rand\": rand, \"sleep\": x.sleep(1), \"random\": a.random() });",
        "let winner = select_biased! { a = first => 1, b = second => 2 };",
        "tokio::select! { biased; a = first => {} }",
        "match futures::future::select(a, b).await { Either::Left(_) => {} Either::Right(_) => {} }",
        "let all = futures::future::join_all(calls).await;",
        "let built = env!(\"CARGO_PKG_NAME\");",
        "use std::{time::SystemTime, collections::BTreeMap};",
        "let shuffled = StdRng::seed_from_u64(ctx.random().next_u64());",
    ] {
        assert_eq!(findings(body), Vec::<String>::new(), "{body}");
    }
}

/// The attribute applies to one statement, and it is removed from everything that is emitted.
#[test]
fn only_the_marked_statement_is_allowed() {
    for (statement, emitted) in [
        ("#[allow(nondeterminism)] let a = f(now());", "let a = f(now());"),
        ("#[allow(nondeterminism)] now();", "now();"),
        ("#[allow(nondeterminism)] a = now();", "a = now();"),
        ("#[allow(nondeterminism)] a + now();", "a + now();"),
        ("#[allow(nondeterminism)] now().b().c()?;", "now().b().c()?;"),
        ("#[allow(nondeterminism)] { now(); now(); }", "{ now(); now(); }"),
        (
            "#[allow(nondeterminism)] print!(\"{}\", now());",
            "print!(\"{}\", now());",
        ),
        ("#[allow(nondeterminism)] fn f() { now(); }", "fn f() { now(); }"),
        ("#[allow(nondeterminism)] use rand::Rng;", "use rand::Rng;"),
        ("#[allow(nondeterminism)] rand::pick! { a; b }", "rand::pick! { a; b }"),
        ("f(#[allow(nondeterminism)] now());", "f(now());"),
        (
            "match x { #[allow(nondeterminism)] 1 => now(), _ => f() }",
            "match x { 1 => now(), _ => f() }",
        ),
        ("A { #[allow(nondeterminism)] b: now() };", "A { b: now() };"),
        (
            "let f = || { #[allow(nondeterminism)] now() };",
            "let f = || { now() };",
        ),
        (
            "#[allow(nondeterminism, reason = \"for the log\")] let a = now();",
            "let a = now();",
        ),
        (
            "#[allow(unused, nondeterminism, clippy::all, reason = \"so\")] let a = now();",
            "#[allow(unused, clippy::all, reason = \"so\")] let a = now();",
        ),
        (
            "#[inline] #[allow(nondeterminism)] #[cfg(unix)] a = now();",
            "#[inline] #[cfg(unix)] a = now();",
        ),
        (
            "select_biased! { a = b => { #[allow(nondeterminism)] let a = now(); }, c = d => {} }",
            "select_biased! { a = b => { let a = now(); }, c = d => {} }",
        ),
        (
            "select_biased! { #[allow(nondeterminism)] a = now() => {}, c = d => {} }",
            "select_biased! { a = now() => {}, c = d => {} }",
        ),
        (
            "select_biased! { #[allow(unused, nondeterminism)] a = now(), c = d => {} }",
            "select_biased! { #[allow(unused)] a = now(), c = d => {} }",
        ),
    ] {
        let spell = |text: &str| text.replace("now()", "SystemTime::now()");
        assert_eq!(findings(&spell(statement)), Vec::<String>::new(), "{statement}");
        let inside = spell(statement).replace("select_biased! {", "select_biased! { x = SystemTime::now() => {}, ");
        let both = format!("SystemTime::now(); {inside} SystemTime::now();");
        let refused = 2 + usize::from(inside != spell(statement));
        assert_eq!(findings(&both).len(), refused, "{both}");
        let mut stripped = function(&spell(statement));
        strip(&mut stripped);
        assert_eq!(stripped, function(&spell(emitted)), "{statement}");
    }
}

/// Tokens that do not parse as expressions are checked as plain tokens.
#[test]
fn tokens_without_a_grammar_are_searched_for_names() {
    for (tokens, found) in [
        ("=> a SystemTime::now b random() c random::<u8>() d", 3),
        ("=> a.random() a.random b.elapsed() b.elapsed(1) 0..random()", 2),
        (
            "=> select! { a => b } tokio::spawn => std::thread std::thread::sleep",
            3,
        ),
        ("=> # [allow(nondeterminism)] SystemTime::now ; SystemTime::now", 1),
        ("=> # [allow(unused)] SystemTime::now #", 1),
        ("=> #", 0),
    ] {
        let mut lint = Lint::default();
        let parsed: TokenStream = tokens.parse().unwrap();
        assert!(syn::Block::parse_within.parse2(parsed.clone()).is_err(), "{tokens}");
        lint.invocation(&["any".to_owned()], TokenStream::new(), &parsed);
        let messages: Vec<String> = lint.findings.into_iter().map(|finding| finding.message).collect();
        assert_eq!(messages.len(), found, "{tokens}: {messages:?}");
    }
}
