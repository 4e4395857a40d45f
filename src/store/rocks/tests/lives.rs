//! Long lives of a hub: after any sequence of events, it opens with all acknowledged commits.

use proptest::prelude::*;

use super::*;

/// An event in the life of a hub.
#[derive(Clone, Copy, Debug)]
enum Event {
    Acknowledge(u64),
    /// Commits that reach the buffer of the log or the disk, but are not acknowledged.
    Write(u64),
    Sync,
    Flush,
    Kill,
    Close,
    Copy,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..400_u64).prop_map(Event::Acknowledge),
        3 => (1..400_u64).prop_map(Event::Write),
        2 => Just(Event::Sync),
        3 => Just(Event::Flush),
        3 => Just(Event::Kill),
        2 => Just(Event::Close),
        1 => Just(Event::Copy),
    ]
}

/// The current hub, in a temporary directory.
struct Life {
    /// Declared before the directory, so it is dropped first.
    store: RocksStore,
    directory: PathBuf,
    _place: TempDir,
    newest: u64,
    promised: u64,
}

impl Life {
    fn begin() -> Self {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("hub");
        let store = open(&directory, &small()).unwrap().store;
        Self {
            store,
            directory,
            _place: place,
            newest: 0,
            promised: 0,
        }
    }

    fn meet(self, event: Event) -> Self {
        let newest = self.newest;
        match event {
            Event::Acknowledge(commits) => {
                (newest + 1..=newest + commits).for_each(|number| commit(&self.store, number));
                self.store.sync().unwrap();
                self.store.acknowledge(newest + commits).unwrap();
                Self {
                    newest: newest + commits,
                    promised: newest + commits,
                    ..self
                }
            }
            Event::Write(commits) => {
                (newest + 1..=newest + commits).for_each(|number| commit(&self.store, number));
                Self {
                    newest: newest + commits,
                    ..self
                }
            }
            Event::Sync => {
                self.store.sync().unwrap();
                self
            }
            Event::Flush => {
                self.store.flush();
                self
            }
            Event::Kill => {
                let (place, directory) = killed(&self.directory);
                self.again(place, directory, &small())
            }
            Event::Close => {
                self.store.close(newest).unwrap();
                let (place, directory) = killed(&self.directory);
                Self {
                    promised: newest,
                    ..self
                }
                .again(place, directory, &small())
            }
            Event::Copy => {
                let place = tempfile::tempdir().unwrap();
                let directory = place.path().join("copy");
                self.store.checkpoint(&directory, self.promised).unwrap();
                let how = OpenOptions {
                    restore: true,
                    ..small()
                };
                Self {
                    promised: newest,
                    ..self
                }
                .again(place, directory, &how)
            }
        }
    }

    /// Opens the hub in `directory` and checks its commits.
    fn again(self, place: TempDir, directory: PathBuf, how: &OpenOptions) -> Self {
        let opened = open(&directory, how).unwrap();
        let newest = newest(&opened);
        assert!(
            (self.promised..=self.newest).contains(&newest),
            "{newest} of {}..={}",
            self.promised,
            self.newest
        );
        assert_holds(&opened.store, newest);
        assert!(opened.store.get(&row(newest + 1)).unwrap().is_none());
        Self {
            store: opened.store,
            directory,
            _place: place,
            newest,
            promised: newest,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random events, during which logs are recycled, cut and abandoned.
    #[test]
    fn a_hub_keeps_what_it_acknowledged_all_its_life(events in prop::collection::vec(event(), 1..24)) {
        events.into_iter().chain([Event::Kill]).fold(Life::begin(), Life::meet);
    }
}
