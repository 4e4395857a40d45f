use abide::prelude::*;

#[activity(name = "", timeout = 30, limit = 0, unknown = 1, blocked(a, b))]
async fn all_at_once() {}

#[activity(name = "a/b", version = "2", max_attempts = 3, first_interval = "1s")]
async fn elsewhere() {}

#[activity(timeout = "30")]
async fn no_unit() {}

#[activity(timeout = "30sec")]
async fn no_such_unit() {}

#[activity(timeout = "1.5s")]
async fn no_whole_number() {}

#[activity(timeout = "30m1h")]
async fn not_in_order() {}

#[activity(timeout = "99999999999999d")]
async fn too_long() {}

#[activity(timeout = "0s")]
async fn no_time() {}

#[activity(timeout = true)]
async fn no_text() {}

#[activity(limit = -1, limit = "8")]
async fn no_number() {}

#[activity(name = "one", name = "two")]
async fn twice() {}

#[activity(retry)]
async fn retry_without_list() {}

#[activity(retry(first_interval = "1s"))]
async fn retry_without_end() {}

#[activity(retry(max_attempts = 0, backoff = 0.5, max_interval = "0s", limit = 8))]
async fn retry_of_nothing() {}

#[activity(retry(max_attempts = 3, first_interval = "1h", max_interval = "1m"))]
async fn retry_beyond_its_longest() {}

fn main() {}
