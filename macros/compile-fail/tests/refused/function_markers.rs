use abide::prelude::*;

pub async fn forgotten() {}

struct Forgotten {}

fn main() {
    let builder = Hub::builder("data").activity::<Forgotten>();
    let _ = builder.activity::<forgotten>();
}
