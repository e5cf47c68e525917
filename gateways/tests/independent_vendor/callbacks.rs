//! Callbacks that nobody waits for, and callbacks with nothing in them.

use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::FrontState;

use super::library::hex;
use super::scene::{ID, KINDS, Scene, TRADING_DAY, login_taken};

const CONTRACTS: [&str; 1] = ["10007001.SSE"];

fn logged_in() -> FrontState {
    FrontState::LoggedIn { trading_day: TRADING_DAY.into() }
}

#[tokio::test]
async fn callbacks_that_nobody_waits_for_do_no_harm() {
    let symbol = hex(b"10007001");
    let both = [
        "OnHeartBeatWarning 61".to_owned(),
        "OnHeartBeatWarning -2147483648".into(),
        format!("OnRspError null 90:{} 7 1", hex(b"CTP:\xb2\xe9\xd1\xaf\xce\xb4\xbe\xcd\xd0\xf7")),
        "OnRspError null 0: 0 0".into(),
        "OnRspUserLogout rubbish 0: 3 1".into(),
        format!("OnRspUnSubMarketData InstrumentID={symbol} 0: 0 1"),
        format!("OnRspSubForQuoteRsp InstrumentID={symbol} 0: 0 1"),
        format!("OnRspUnSubForQuoteRsp InstrumentID={symbol} 5:{} 0 1", hex(b"no")),
        format!("OnRtnForQuoteRsp TradingDay={}", hex(TRADING_DAY.as_bytes())),
    ];
    let only_ctp = ["OnRspQryMulticastInstrument rubbish 0: 4 0".to_owned()];
    for kind in KINDS {
        let mut scene = Scene::ready(kind, &CONTRACTS).await;
        let lines: Vec<_> = if kind == Dialect::Ctp { [&both[..], &only_ctp[..]].concat() } else { both.to_vec() };
        for (number, line) in (0..).zip(&lines) {
            scene.run(&[line]).await;
            scene.lives(number).await;
        }
        assert_eq!(scene.beat().await.front, logged_in(), "{kind}");
        assert_eq!(scene.called("ReqUserLogin", 1).await.len(), 1);
        assert_eq!(scene.called("SubscribeMarketData", 1).await.len(), 1);
        scene.hub.kill(ID, scene.life).await;
    }
}

#[tokio::test]
async fn null_pointers_are_survived_wherever_the_library_could_pass_one() {
    let both = [
        "OnRspError null null 0 1",
        "OnRspUserLogout null null 0 1",
        "OnRspSubMarketData null null 0 1",
        "OnRspSubMarketData null 0: 0 1",
        "OnRspUnSubMarketData null null 0 1",
        "OnRspSubForQuoteRsp null null 0 1",
        "OnRspUnSubForQuoteRsp null null 0 1",
        "OnRtnDepthMarketData null",
        "OnRtnForQuoteRsp null",
        "OnRspUserLogin null null 1 1",
        "OnRspUserLogin null 0: 1 1",
    ];
    for kind in KINDS {
        let mut scene = Scene::started(kind, &CONTRACTS).await;
        scene.run(&["OnFrontConnected"]).await;
        scene.front(FrontState::Connected).await;
        scene.run(&both).await;
        if kind == Dialect::Ctp {
            scene.run(&["OnRspQryMulticastInstrument null null 0 1"]).await;
        }
        scene.lives(1).await;
        // What a login without a day means is the worker's affair, as long as the next one is taken for what it is.
        scene.run(&["OnFrontDisconnected 4097".to_owned(), "OnFrontConnected".into(), login_taken()]).await;
        scene.front(logged_in()).await;
        scene.lives(2).await;
        scene.beat().await;
        scene.hub.kill(ID, scene.life).await;
    }
}
