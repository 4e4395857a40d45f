use abide::prelude::*;

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum PayError {
    #[error("declined")]
    Declined,
}

#[activity(retry_if = is_busy)]
async fn pay() -> Result<(), PayError> {
    Ok(())
}

fn is_busy(error: &Failure) -> bool {
    error.message == "busy"
}

#[orchestration]
async fn by_the_name_of_the_type(ctx: OrchestrationContext) -> Result<(), Failure> {
    let policy = RetryPolicy::new(3);
    ctx.call_activity::<pay>(()).retry(policy).retry_if(|error| error.error_type != "Declined").await?;
    Ok(())
}

fn main() {}
