//! Many at once.

use futures::future::join_all;

use crate::world::{World, rounds, user};

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
}
