//! A guest of spin-sdk 7 for the Redis trigger.

use bytes::Bytes;
use spin_sdk::redis_subscriber;

#[redis_subscriber]
async fn on_message(message: Bytes) -> anyhow::Result<()> {
    let text = std::str::from_utf8(&message)?;
    anyhow::ensure!(text != "fail", "told to fail");
    println!("got {text}");
    Ok(())
}
