use abide::prelude::*;

#[derive(Deserialize, Serialize)]
struct Private;

#[activity]
pub async fn shows_its_input(input: Private) {
    let _ = input;
}

#[orchestration]
pub async fn shows_its_output(ctx: OrchestrationContext) -> Private {
    let _ = ctx;
    Private
}

fn main() {}
