//! Many at once.

use futures::future::join_all;
use serde_json::json;

use crate::world::{World, patch, rounds, user};

#[tokio::test(flavor = "multi_thread")] // rule: U-11, REL-05 (part)
async fn of_sixteen_creates_of_one_user_name_exactly_one_succeeds() {
    let world = World::start().await;
    for round in 0..rounds(200, 20) {
        let creates = (0..16).map(|n| {
            let name = format!("race{round}@acme.example");
            let name: String = name
                .chars()
                .enumerate()
                .map(|(at, c)| {
                    if (n >> (at % 4)) & 1 == 1 {
                        c.to_ascii_uppercase()
                    } else {
                        c
                    }
                })
                .collect();
            world.send("POST", "/Users", Some(user(&name)))
        });

        let answers = join_all(creates).await;

        let made = answers.iter().filter(|answer| answer.status == 201).count();
        let taken = answers.iter().filter(|answer| answer.status == 409).count();
        assert_eq!((made, taken), (1, 15), "round {round}");
    }
    assert_eq!(world.total().await, rounds(200, 20) as u64);
    println!(
        "figure: 16 creates of one userName in different cases: {} rounds, each with one 201 and \
         15 times 409",
        rounds(200, 20)
    );
}

#[tokio::test(flavor = "multi_thread")] // rule: REL-04 (part)
async fn of_patches_of_one_user_at_once_all_are_applied() {
    let world = World::start().await;
    for (round, writers) in [2, 2, 2, 16].into_iter().enumerate() {
        let made = world
            .send(
                "POST",
                "/Users",
                Some(user(&format!("u{round}@acme.example"))),
            )
            .await;
        let target = format!("/Users/{}", made.body["id"].as_str().unwrap());
        let patches = (0..writers).map(|n| {
            let role =
                json!([{"op": "add", "path": "roles", "value": [{"value": format!("R{n}")}]}]);
            world.send("PATCH", &target, Some(patch(&role)))
        });

        let answers = join_all(patches).await;

        assert!(answers.iter().all(|answer| answer.status == 200));
        let user = world.send("GET", &target, None).await.body;
        assert_eq!(user["roles"].as_array().unwrap().len(), writers, "{round}");
    }
}
