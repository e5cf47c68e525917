//! What is asked for, in which portions, and what the front's answers do.

use mdhub_gateways::worker::session::BATCH_CONTRACTS;

use super::library::hex;
use super::scene::{ID, KINDS, Scene, TRADING_DAY, login_taken, taken};

#[tokio::test]
async fn many_contracts_are_asked_for_in_batches_each_of_them_once() {
    for kind in KINDS {
        let contracts: Vec<String> = (0..450).map(|n| format!("{}.SSE", 10_000_000 + n)).collect();
        let scene = Scene::started(kind, &contracts).await;
        scene.run(&["OnFrontConnected".to_owned(), login_taken()]).await;
        let batches = scene.grant(0, contracts.len()).await;
        assert!(batches.len() > 1 && batches.iter().all(|batch| batch.len() <= BATCH_CONTRACTS), "{batches:?}");
        for call in scene.called("SubscribeMarketData", batches.len()).await {
            assert_eq!(call.arguments[..2], ["0".to_owned(), (call.arguments.len() - 2).to_string()]);
        }
        let mut asked = batches.concat();
        asked.sort();
        assert!(asked.iter().map(|symbol| format!("{symbol}.SSE")).eq(contracts), "{asked:?}");
        assert_eq!(scene.hub.process(ID, "ready", |p| p.ready_at.is_some()).await.acknowledged, 450);
        scene.hub.kill(ID, scene.life).await;
    }
}

#[tokio::test]
async fn answers_count_though_none_is_the_last_and_a_refused_contract_holds_nothing_up() {
    const NO_SUCH: &[u8] = b"\xc3\xbb\xd3\xd0\xb8\xc3\xba\xcf\xd4\xbc";
    for kind in KINDS {
        let scene = Scene::started(kind, &["10007001.SSE", "10007002.SSE", "10007003.SSE"]).await;
        let login = format!("OnRspUserLogin TradingDay={} null 1 0", hex(TRADING_DAY.as_bytes()));
        scene.run(&["OnFrontConnected".to_owned(), login]).await;
        scene.asked(0, 3).await;
        let answer = |symbol: &[u8], info: &str| format!("OnRspSubMarketData InstrumentID={} {info} 0 0", hex(symbol));
        let longest = if kind.as_str() == "ctp" { 81 } else { 31 };
        scene
            .run(&[
                answer(b"10007001", "0:"),
                answer(b"never-asked", "0:"),
                answer(&vec![b'9'; longest], "0:"),
                answer(b"10007002", "null"),
                answer(b"10007003", &format!("16:{}", hex(NO_SUCH))),
            ])
            .await;
        let ready = scene.hub.process(ID, "ready", |p| p.ready_at.is_some()).await;
        assert_eq!(ready.acknowledged, 2, "{kind}");
        let exit = scene.hub.kill(ID, scene.life).await;
        let told = |line: &String| line.contains("10007003") && line.contains("没有该合约");
        assert!(exit.stderr.iter().any(told), "{:?}", exit.stderr);
    }
}

#[tokio::test]
async fn a_subscription_that_the_library_did_not_send_is_sent_again() {
    for kind in KINDS {
        let scene = Scene::started(kind, &["10007001.SSE"]).await;
        scene.run(&["return SubscribeMarketData -1".to_owned(), "OnFrontConnected".into(), login_taken()]).await;
        let calls = scene.called("SubscribeMarketData", 2).await;
        assert_eq!(calls[0].arguments, ["-1", "1", "10007001"]);
        assert_eq!(calls[1].arguments, ["0", "1", "10007001"]);
        scene.run(&[taken("10007001")]).await;
        scene.hub.process(ID, "ready", |p| p.ready_at.is_some()).await;
        scene.hub.kill(ID, scene.life).await;
    }
}
