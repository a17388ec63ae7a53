use super::*;

fn faults(text: &str) -> Vec<String> {
    match check::parse(Path::new("conf/sealgate.toml"), text) {
        Ok(config) => check::together(&config).iter().map(ConfigFault::to_string).collect(),
        Err(faults) => faults.iter().map(ConfigFault::to_string).collect(),
    }
}

#[test]
fn the_sample_says_the_defaults() {
    let config = check::parse(Path::new("conf/sealgate.toml"), SAMPLE).expect("parses");
    let embedded = Config::embedded();
    assert_eq!(config.listen.gateway, embedded.listen.gateway);
    assert_eq!(config.limits.body_bytes_max, embedded.limits.body_bytes_max);
    assert_eq!(config.limits.answer_bytes_max, embedded.limits.answer_bytes_max);
    assert_eq!(config.routes.len(), 3);
    assert_eq!(config.data, Path::new("conf/data"));
    assert!(check::together(&config).is_empty());
}

#[test]
fn every_fault_is_told_at_once_with_its_line() {
    let text = "[listen]\ngatway = \"x\"\ngateway = \"nowhere\"\n[limits]\nbody_bytes_max = 0\n[[route]]\nvendor = \"nobody\"\nmode = \"maybe\"\n";
    let told = faults(text);
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(told[0].starts_with("conf/sealgate.toml:2: unknown name `gatway`"), "{told:?}");
    assert!(told.iter().any(|fault| fault.contains(":3:") && fault.contains("127.0.0.1:8080")));
    assert!(told.iter().any(|fault| fault.contains("nobody") && fault.contains("openai")));
}

#[test]
fn a_credential_in_the_file_is_not_shown() {
    let text = "[[vendor]]\nid = \"a\"\ndialect = \"openai\"\nurl = \"https://a.example\"\ncredential = \"hunter2\"\n";
    let told = faults(text);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(!told[0].contains("hunter2"));
}

#[test]
fn plain_http_off_loopback_is_refused() {
    let open = faults("[listen]\ngateway = \"0.0.0.0:8080\"\n");
    assert!(open[0].contains("terminated"), "{open:?}");
    assert!(faults("[listen]\ngateway = \"0.0.0.0:8080\"\ntls = \"terminated\"\n").is_empty());
    assert!(
        !faults("[listen]\ngateway = \"0.0.0.0:8080\"\ntls = \"terminated\"\n[store]\ndurability = \"none\"\n")
            .is_empty()
    );
}

#[test]
fn syntax_errors_name_the_line() {
    assert!(faults("[gateway]\nname = \n")[0].starts_with("conf/sealgate.toml:2:"));
}
