//! A node that may open few files: it refuses what it cannot take, and goes on.

use crate::child::How;
use crate::load::Mix;
use crate::random::Repeat;
use crate::support::has;
use crate::world::{REPEATED, World};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Files that the node may open.
const FILES: u32 = 100;

#[tokio::test]
async fn without_files_to_open_the_node_goes_on_and_recovers() {
    let test = "without_files_to_open_the_node_goes_on_and_recovers";
    if !has("python3", test) {
        return;
    }
    let _repeat = Repeat { test: "files::without_files_to_open_the_node_goes_on_and_recovers" };
    let how = How { files: Some(FILES), ..How::default() };
    let mut world = World::new(how, Mix::default()).await;
    world.publish(100).await;
    for _ in 0..3 {
        let mut held = Vec::new();
        for _ in 0..FILES * 2 {
            // The backlog may be full too.
            match timeout(Duration::from_millis(200), TcpStream::connect(world.place.gateway)).await {
                Ok(Ok(stream)) => held.push(stream),
                _ => break,
            }
        }
        assert!(held.len() > FILES as usize / 2, "only {} connections were made", held.len());
        // Clients time out, are refused, or wait; whatever is acknowledged counts.
        let some = async |_: &_, _: &_| {
            tokio::time::sleep(Duration::from_millis(500)).await;
            drop(held);
        };
        world.load.run(&world.place, some).await;
        // A delivery whose answer or result could not be kept is made again.
        world.disturbances += REPEATED;
        assert!(world.node.runs(), "the node has ended");
        world.publish(100).await;
    }
    world.judge().await;
    world.node.stop().await;
}
