use std::collections::HashSet;

use super::*;

/// Interval between two beats of a node.
const BEAT: Duration = Duration::from_millis(500);

/// A database and its nodes, without threads and clocks.
struct World {
    now: Duration,
    shards: Vec<ShardView>,
    nodes: Vec<Node>,
    /// Number of shards that were handed over.
    moves: u32,
}

struct Node {
    view: NodeView,
    watch: Watch,
    is_alive: bool,
    /// The shards that its process runs.
    running: HashSet<ShardId>,
}

impl World {
    fn new(shards: usize) -> Self {
        let shard = ShardView {
            epoch: 0,
            owner: None,
            crashes: 0,
        };
        Self {
            now: Duration::from_secs(100),
            shards: vec![shard; shards],
            nodes: Vec::new(),
            moves: 0,
        }
    }

    fn start(&mut self, id: u128) {
        self.nodes.push(Node {
            view: NodeView {
                id: Uuid::from_u128(id),
                name: id.to_string(),
                beat: 0,
                is_connected: true,
                is_draining: false,
                is_ready: false,
                endpoint: None,
            },
            watch: Watch::default(),
            is_alive: true,
            running: HashSet::new(),
        });
    }

    fn node(&mut self, id: u128) -> &mut Node {
        let id = Uuid::from_u128(id);
        self.nodes.iter_mut().find(|node| node.view.id == id).unwrap()
    }

    fn kill(&mut self, id: u128) {
        let node = self.node(id);
        (node.is_alive, node.view.is_connected) = (false, false);
    }

    /// Ends a node in order.
    fn shut_down(&mut self, id: u128) {
        self.kill(id);
        let id = Uuid::from_u128(id);
        let owned = self.shards.iter_mut().filter(|shard| shard.owner == Some(id));
        owned.for_each(|shard| (shard.owner, shard.crashes) = (None, 0));
    }

    /// Lets one node look and act.
    fn beat(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if !node.is_alive {
            return;
        }
        node.view.beat += 1;
        let me = node.view.id;
        let view = View {
            nodes: self.nodes.iter().map(|node| node.view.clone()).collect(),
            shards: self.shards.clone(),
        };
        let node = &mut self.nodes[index];
        let sighting = node.watch.see(me, view, self.now);
        // Its copies follow the logs from now on.
        node.view.is_ready = true;
        for number in 0..self.shards.len() {
            let (id, shard) = (ShardId(number as u16), &mut self.shards[number]);
            if node.running.contains(&id) {
                if shard.owner != Some(me) {
                    node.running.remove(&id);
                } else if sighting.hands_over(id) {
                    node.running.remove(&id);
                    shard.owner = None;
                    self.moves += 1;
                }
            } else if sighting.may_claim(id) {
                let was_killed = shard.owner.is_some_and(|owner| owner != me);
                shard.crashes += u32::from(was_killed);
                (shard.epoch, shard.owner) = (shard.epoch + 1, Some(me));
                node.running.insert(id);
            }
        }
    }

    /// Lets all nodes beat in turn for a while.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            for index in 0..self.nodes.len() {
                self.beat(index);
                self.now += BEAT / self.nodes.len() as u32;
            }
        }
    }

    /// Returns the number of shards of each living node.
    fn loads(&self) -> Vec<usize> {
        let owned = |node: &Node| {
            let shards = self.shards.iter();
            shards.filter(|shard| shard.owner == Some(node.view.id)).count()
        };
        self.nodes.iter().filter(|node| node.is_alive).map(owned).collect()
    }

    fn is_balanced(&self) -> bool {
        let loads = self.loads();
        let is_equal = loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1;
        is_equal && loads.iter().sum::<usize>() == self.shards.len()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The nodes take over what is free, share it, and then leave it as it is.
#[test]
fn the_loads_become_equal_and_stay() {
    let mut world = World::new(8);
    world.start(1);
    world.pass(seconds(2));
    assert_eq!(world.loads(), [8]);
    world.start(2);
    world.pass(seconds(8));
    assert_eq!(
        world.loads(),
        [8, 0],
        "nothing moves before the nodes have been there for a while"
    );
    world.pass(seconds(20));
    assert_eq!((world.loads(), world.moves), (vec![4, 4], 4));
    world.start(3);
    world.pass(seconds(40));
    assert!(world.is_balanced(), "{:?}", world.loads());
    assert_eq!(world.moves, 6, "no more than necessary moves");
    world.pass(seconds(1_000));
    assert_eq!(world.moves, 6);
}

/// The shards of a node that ends are shared by the others at once, and those of one that is killed after some seconds.
#[test]
fn the_others_share_what_a_node_leaves() {
    let mut world = World::new(6);
    (1..=3).for_each(|id| world.start(id));
    world.pass(seconds(60));
    assert_eq!(world.loads(), [2, 2, 2]);
    world.shut_down(1);
    world.pass(BEAT * 3);
    assert_eq!(world.loads(), [3, 3]);
    world.kill(2);
    world.pass(DISCONNECTED - BEAT);
    assert_eq!(world.loads(), [3]);
    world.pass(BEAT * 4);
    assert_eq!(world.loads(), [6]);
    assert_eq!(world.shards.iter().map(|shard| shard.crashes).sum::<u32>(), 3);
}

/// A node that hangs keeps its connection. It is dead only when its beat has stood still for long.
#[test]
fn a_node_that_hangs_is_dead_later() {
    let mut world = World::new(2);
    (1..=2).for_each(|id| world.start(id));
    world.pass(seconds(60));
    world.node(1).is_alive = false;
    world.pass(SILENT - BEAT);
    assert_eq!(world.loads(), [1]);
    world.pass(BEAT * 4);
    assert_eq!(world.loads(), [2]);
}

/// A node whose copies are not up to date gets nothing, as long as another one could run it.
#[test]
fn shards_move_to_nodes_that_are_ready() {
    let mut world = World::new(4);
    (1..=3).for_each(|id| world.start(id));
    world.pass(seconds(60));
    world.start(4);
    world.kill(1);
    for _ in 0..20 {
        world.node(4).view.is_ready = false;
        world.pass(BEAT);
    }
    let loads = world.loads();
    assert_eq!((loads[2], loads[0] + loads[1]), (0, 4), "{loads:?}");
}

/// A node that is drained gives all that it has to the others, and gets nothing back before the drain ends.
#[test]
fn a_drained_node_gives_all_to_the_others() {
    let mut world = World::new(4);
    world.start(1);
    world.node(1).view.is_draining = true;
    world.pass(seconds(10));
    assert_eq!(world.loads(), [0], "a drained node claims nothing");
    world.node(1).view.is_draining = false;
    world.pass(seconds(5));
    assert_eq!(world.loads(), [4]);
    world.node(1).view.is_draining = true;
    world.pass(seconds(5));
    assert_eq!(world.loads(), [4], "there is no other node");
    world.start(2);
    world.pass(seconds(3));
    assert_eq!(world.loads(), [0, 4]);
    world.pass(seconds(100));
    assert_eq!(world.loads(), [0, 4]);
    world.node(1).view.is_draining = false;
    world.pass(seconds(30));
    assert_eq!(world.loads(), [2, 2]);
}

/// A shard whose owners die repeatedly gets its next owner later and later.
#[test]
fn the_next_owner_waits_after_several_deaths() {
    let mut world = World::new(1);
    world.shards[0].crashes = 2;
    (1..=2).for_each(|id| world.start(id));
    world.pass(seconds(5));
    let owner = world.shards[0].owner.unwrap().as_u128();
    world.kill(owner);
    world.pass(seconds(11));
    assert_eq!(world.loads(), [0]);
    world.pass(seconds(3));
    assert_eq!((world.loads(), world.shards[0].crashes), (vec![1], 3));
}

/// After an outage of the database, the owners have time to find it again.
#[test]
fn an_outage_of_the_database_kills_no_owner() {
    let mut world = World::new(3);
    (1..=3).for_each(|id| world.start(id));
    world.pass(seconds(60));
    let before = world.shards.clone();
    world.now += seconds(100);
    for index in [1, 2, 2, 1, 2, 0] {
        world.nodes[0].view.is_connected = index == 0;
        world.beat(index);
        world.now += BEAT / 2;
    }
    assert_eq!(world.shards, before);
}

/// A database that has lost the row of an owner has lost no living owner.
#[test]
fn an_owner_whose_row_is_lost_is_dead_after_a_while() {
    let mut world = World::new(1);
    (1..=2).for_each(|id| world.start(id));
    world.pass(seconds(5));
    let owner = world.shards[0].owner.unwrap();
    world.nodes.retain(|node| node.view.id != owner);
    world.pass(DISCONNECTED - BEAT);
    assert_eq!(world.shards[0].owner, Some(owner));
    world.pass(BEAT * 3);
    assert_eq!(world.loads(), [1]);
}

/// Whatever happens to the nodes, soon after the last event each shard has a living owner and the loads are equal.
#[test]
fn the_loads_become_equal_after_any_events() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut draw = |below: u64| random.u64(..below);
        let mut world = World::new(1 + draw(9) as usize);
        world.start(1);
        let mut next = 2;
        for _ in 0..draw(12) {
            let living: Vec<u128> = world
                .nodes
                .iter()
                .filter(|node| node.is_alive)
                .map(|node| node.view.id.as_u128())
                .collect();
            let some = living[draw(living.len() as u64) as usize];
            match draw(5) {
                0 if living.len() > 1 => world.kill(some),
                1 if living.len() > 1 => world.shut_down(some),
                2 if living.len() > 1 => {
                    let node = world.node(some);
                    node.view.is_draining = !node.view.is_draining;
                }
                _ => {
                    world.start(next);
                    next += 1;
                }
            }
            world.pass(BEAT * draw(60) as u32);
        }
        world.nodes.iter_mut().for_each(|node| node.view.is_draining = false);
        // The longest pause after deaths, and the moves.
        world.pass(seconds(310) + seconds(15));
        let moves = world.moves;
        world.pass(seconds(100));
        assert!(world.is_balanced(), "seed {seed}: {:?}", world.loads());
        assert_eq!(world.moves, moves, "seed {seed}: shards move without end");
        let owners: HashSet<_> = world.shards.iter().filter_map(|shard| shard.owner).collect();
        assert!(owners.len() <= world.loads().len());
    }
}
