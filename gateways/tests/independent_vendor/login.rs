//! From the library's creation to the login's answer.

use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::FrontState;

use super::harness::PASSWORD;
use super::library::{Call, hex};
use super::scene::{ID, KINDS, Scene, TRADING_DAY, login_taken};

const CONTRACTS: [&str; 2] = ["rb2701.SHFE", "SP m2505&m2509.DCE"];

fn names(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|call| call.name.as_str()).collect()
}

/// The worker's calls of the library, without the callbacks and the script.
fn worker_calls(scene: &Scene) -> Vec<Call> {
    let is_own = |call: &Call| !call.name.starts_with("On") && call.name != "done";
    scene.script.journal().into_iter().filter(is_own).collect()
}

#[tokio::test]
async fn the_library_is_created_with_a_flow_path_and_wired_before_it_starts() {
    for kind in KINDS {
        let scene = Scene::started(kind, &CONTRACTS).await;
        let calls = worker_calls(&scene);
        assert_eq!(names(&calls), ["Create", "RegisterSpi", "RegisterFront", "Init"], "{calls:?}");
        let flow_dir = scene.hub.flow_root.join(ID);
        let flow_path = format!("{}/", flow_dir.display());
        assert_eq!(
            calls[0].arguments,
            [kind.as_str(), &flow_path, "written", "is_udp=0", "is_multicast=0"],
            "the flavour, a prefix for files that is a directory of the account's own, and TCP"
        );
        assert!(flow_dir.join("DialogRsp.con").is_file());
        assert_eq!(calls[1].arguments, ["with a table"]);
        assert_eq!(calls[2].arguments, ["tcp://127.0.0.1:9"]);
        assert_eq!(calls[3].arguments, ["with an SPI"]);
        scene.hub.kill(ID, scene.life).await;
    }
}

#[tokio::test]
async fn it_logs_in_once_connected_and_subscribes_once_logged_in() {
    for kind in KINDS {
        let scene = Scene::started(kind, &CONTRACTS).await;
        scene.beat().await;
        assert_eq!(
            worker_calls(&scene).len(),
            4,
            "nothing is asked of a front that is not there: {:?}",
            worker_calls(&scene)
        );
        scene.run(&["OnFrontConnected"]).await;
        let login = scene.called("ReqUserLogin", 1).await.remove(0);
        assert!(["OnFrontConnected", "-"].contains(&login.inside.as_str()), "{login:?}");
        let length = PASSWORD.len().to_string();
        assert_eq!(login.arguments[..6], ["0", "b", "u", &length, "right", "0"], "{login:?}");
        scene.front(FrontState::Connected).await;
        scene.beat().await;
        assert_eq!(names(&worker_calls(&scene)[4..]), ["ReqUserLogin"], "no subscription before the login's answer");
        scene.run(&[login_taken()]).await;
        let mut asked = scene.grant(0, CONTRACTS.len()).await.concat();
        asked.sort();
        assert_eq!(asked, ["SP m2505&m2509", "rb2701"]);
        scene.front(FrontState::LoggedIn { trading_day: TRADING_DAY.into() }).await;
        let journal = scene.script.journal();
        let place = |name: &str| journal.iter().position(|call| call.name == name).expect("was called");
        assert!(place("OnFrontConnected") < place("ReqUserLogin"));
        assert!(place("OnRspUserLogin") < place("SubscribeMarketData"));
        scene.hub.kill(ID, scene.life).await;
    }
}

/// The broker's words, as their bytes come in GB18030, and what people read.
fn refusals() -> Vec<(Vec<u8>, String)> {
    const ILLEGAL: &[u8] =
        b"\xd7\xdb\xba\xcf\xbd\xbb\xd2\xd7\xc6\xbd\xcc\xa8\xa3\xba\xb2\xbb\xba\xcf\xb7\xa8\xb5\xc4\xb5\xc7\xc2\xbc";
    const RARE: &[u8] = b"\xe9\x46\x95\x34\xb2\x35\xa2\xe3";
    vec![
        (ILLEGAL.to_vec(), "综合交易平台：不合法的登录".to_owned()),
        // Two bytes, four bytes (beyond the basic plane), and the euro sign.
        (RARE.to_vec(), "镕𠮷€".to_owned()),
        // Fills the field to its last byte, with no zero behind it.
        ([b"\xb5\xc7\xc2\xbc".repeat(20), b"x".to_vec()].concat(), format!("{}x", "登录".repeat(20))),
    ]
}

async fn refused(kind: Dialect, record: &str, (bytes, words): (Vec<u8>, String)) {
    let scene = Scene::started(kind, &CONTRACTS).await;
    // The worker may be gone before the library has noted that the callback returned.
    scene.script.add(&["OnFrontConnected".to_owned(), format!("OnRspUserLogin {record} 3:{} 1 1", hex(&bytes))]);
    let exit = scene.hub.exit(ID, scene.life).await;
    assert_eq!(exit.front, FrontState::Refused { code: 3, message: words.clone() }, "{kind}");
    assert!(exit.bye.as_ref().is_some_and(|bye| bye.contains(&words)), "{:?}", exit.bye);
    let calls = worker_calls(&scene);
    assert_eq!(names(&calls[4..]), ["ReqUserLogin"], "no subscription, and a Release or Join may never return");
}

#[tokio::test]
async fn a_refused_login_ends_the_worker_with_the_brokers_chinese_words() {
    for kind in KINDS {
        for (record, words) in ["rubbish", "null", "rubbish"].into_iter().zip(refusals()) {
            refused(kind, record, words).await;
        }
    }
}

#[tokio::test]
async fn a_lost_connection_leads_to_a_new_login_and_new_subscriptions() {
    for kind in KINDS {
        let mut scene = Scene::started(kind, &CONTRACTS).await;
        // The library may lose a connection that it never said to have.
        scene.run(&["OnFrontDisconnected 4097"]).await;
        scene.front(FrontState::Disconnected { reason: 0x1001 }).await;
        for life in 0..2 {
            scene.run(&["OnFrontConnected".to_owned(), login_taken()]).await;
            assert_eq!(scene.called("ReqUserLogin", life + 1).await.len(), life + 1);
            let mut asked = scene.grant(life, CONTRACTS.len()).await.concat();
            asked.sort();
            assert_eq!(asked, ["SP m2505&m2509", "rb2701"], "connection {life}");
            scene.lives(i32::try_from(life).expect("small")).await;
            scene.run(&["OnFrontDisconnected 8193"]).await;
            let lost = scene.front(FrontState::Disconnected { reason: 0x2001 }).await;
            assert_eq!((lost.ready_at, lost.acknowledged), (None, 0));
        }
        let calls = worker_calls(&scene);
        let unconnected: Vec<_> = calls.iter().filter(|call| call.arguments[0] == "-1").collect();
        assert!(unconnected.is_empty(), "asked without a connection: {unconnected:?}");
        scene.hub.kill(ID, scene.life).await;
    }
}
