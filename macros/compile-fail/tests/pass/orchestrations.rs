//! Every documented form of an orchestration, in a crate that denies the lints that users deny.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]
#![deny(rust_2018_idioms, unsafe_code, unused_lifetimes, let_underscore_drop)]

use std::time::{Instant, SystemTime};

use abide::Orchestration;
use abide::prelude::*;

/// The input of an orchestration.
#[derive(Debug, Deserialize, Serialize)]
pub struct Transfer {
    cents: i64,
}

/// Moves money.
#[orchestration(name = "transfer", version = "2")]
pub async fn transfer_v2(ctx: OrchestrationContext, transfer: Transfer) -> Result<i64, Failure> {
    drop(ctx);
    std::future::ready(()).await;
    Ok(transfer.cents)
}

#[orchestration]
async fn forever(_ctx: OrchestrationContext) {}

#[orchestration]
async fn count(_: OrchestrationContext, _: Vec<String>) -> usize {
    0
}

mod aliased {
    use abide::prelude::*;

    type Result<T> = std::result::Result<T, Failure>;

    #[orchestration()]
    pub(super) async fn empty(_ctx: OrchestrationContext) -> Result<()> {
        Ok(())
    }
}

/// Allows the determinism lint at every place where that is possible.
#[orchestration]
pub async fn allowed(_ctx: OrchestrationContext) -> bool {
    // Used only for logging.
    #[allow(nondeterminism)]
    let begin = Instant::now();
    #[allow(nondeterminism, unused_assignments, reason = "used only for logging")]
    let mut seen = SystemTime::now();
    #[allow(nondeterminism)]
    println!("{:?}", begin.elapsed());
    #[allow(nondeterminism, reason = "used only for logging")]
    {
        seen = SystemTime::now();
    }
    #[allow(nondeterminism)]
    if begin.elapsed().is_zero() {
        println!("{seen:?}");
    }
    #[allow(nondeterminism)]
    std::hint::black_box(Instant::now());
    #[allow(nondeterminism)]
    std::convert::identity(begin.elapsed());
    let read = || {
        #[allow(nondeterminism)]
        let now = SystemTime::now();
        #[allow(nondeterminism)]
        const LIMIT: fn() -> SystemTime = SystemTime::now;
        matches!(now.cmp(&LIMIT()), std::cmp::Ordering::Less | std::cmp::Ordering::Equal)
    };
    #[allow(nondeterminism)]
    fn nested() -> SystemTime {
        SystemTime::now()
    }
    let text = format!(
        "{:?}",
        {
            #[allow(nondeterminism)]
            let now = nested();
            now
        }
    );
    match text.len() {
        #[allow(nondeterminism)]
        0 => Instant::now() < begin,
        _ => read(),
    }
}

/// Allows the lint on a tail expression.
#[orchestration]
pub async fn tail(_ctx: OrchestrationContext) -> SystemTime {
    #[allow(nondeterminism)]
    SystemTime::now()
}

/// Contains code that only resembles nondeterministic code.
#[orchestration]
pub async fn harmless(_ctx: OrchestrationContext) -> std::net::Ipv4Addr {
    struct Draw;
    impl Draw {
        fn random(&self) -> u8 {
            4
        }

        fn now() -> u8 {
            5
        }
    }
    mod process {
        pub(super) fn order() {}
    }
    let random = Draw;
    println!("{} {}", random.random(), Draw::now());
    process::order();
    std::net::Ipv4Addr::new(127, 0, 0, 1)
}

fn main() {
    assert_eq!((transfer_v2::NAME, transfer_v2::VERSION), ("transfer", "2"));
    assert_eq!((forever::NAME, forever::VERSION), ("forever", ""));

    fn types<A: Orchestration<Input = I, Output = O, Error = E>, I, O, E>() {}
    types::<transfer_v2, Transfer, i64, Failure>();
    types::<forever, (), (), NoError>();
    types::<count, Vec<String>, usize, NoError>();
    types::<aliased::empty, (), (), Failure>();
    types::<allowed, (), bool, NoError>();
    types::<tail, (), SystemTime, NoError>();
    types::<harmless, (), std::net::Ipv4Addr, NoError>();
}
