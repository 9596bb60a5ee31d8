//! Reads region, credentials and endpoints from the environment that Lambda sets for a function.
//!
//! The SDK's default chain would find the same values. But it would link every source that it searches into each
//! function: profiles, STS, SSO, containers, instance metadata. Every cold start would load those megabytes for
//! nothing.

use std::env;

use aws_config::SdkConfig;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_sdk_dynamodb::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sdk_dynamodb::config::{Region, SharedCredentialsProvider};
use aws_types::origin::Origin;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use http::Uri;

use super::http::Http;
use super::settings::{behavior_version, retries, timeouts};

/// Every AWS SDK reads a service's address from this variable.
const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";

/// The configuration for the AWS clients of a function.
pub(super) fn config(http: Http) -> SdkConfig {
    let get = |name: &str| env::var(name).ok();
    let is_on = |name: &str| get(name).map(|value| value.eq_ignore_ascii_case("true"));
    let credentials = EnvironmentVariableCredentialsProvider::new();
    let region = get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION"));
    let mut config = SdkConfig::builder()
        .behavior_version(behavior_version())
        .region(region.map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .service_config(Endpoints { get })
        .http_client(http.into_shared())
        .retry_config(retries())
        .timeout_config(timeouts());
    config.set_use_fips(is_on("AWS_USE_FIPS_ENDPOINT"));
    config.set_use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"));
    // Marks the retry settings as chosen by us. Otherwise a client may replace them with its own default.
    config.insert_origin("retry_config", Origin::shared_config());
    config.build()
}

/// The address of DynamoDB that a client with this `config` would use.
pub(super) async fn dynamodb(config: &SdkConfig) -> Option<Uri> {
    let key = ServiceConfigKey::builder()
        .service_id("DynamoDB")
        .env(ENDPOINT_URL)
        .profile("endpoint_url")
        .build();
    let endpoint = config.service_config()?.load_config(key.ok()?);
    let params = Params::builder()
        .set_region(config.region().map(ToString::to_string))
        .set_use_fips(config.use_fips())
        .set_use_dual_stack(config.use_dual_stack())
        .set_endpoint(endpoint)
        .build()
        .ok()?;
    let resolver = DefaultResolver::new();
    let found = resolver.resolve_endpoint(&params).await.ok()?;
    found.url().parse().ok()
}

/// Endpoints that replace AWS's own, read as the SDK reads them: `AWS_ENDPOINT_URL_DYNAMODB` and its like for one
/// service, `AWS_ENDPOINT_URL` for all.
#[derive(Debug)]
struct Endpoints {
    get: fn(&str) -> Option<String>,
}

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let ignored = (self.get)("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
        if ignored.is_some_and(|it| it.eq_ignore_ascii_case("true")) {
            return None;
        }
        let service = key.service_id().to_uppercase().replace(' ', "_");
        (self.get)(&format!("{}_{service}", key.env())).or_else(|| (self.get)(key.env()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(get: fn(&str) -> Option<String>, service: &str) -> Option<String> {
        let key = ServiceConfigKey::builder()
            .service_id(service)
            .env(ENDPOINT_URL)
            .profile("endpoint_url")
            .build();
        Endpoints { get }.load_config(key.expect("it is whole"))
    }

    #[test]
    fn a_service_s_own_endpoint_comes_before_that_of_all() {
        let get = |name: &str| match name {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER" => Some("http://own".to_owned()),
            "AWS_ENDPOINT_URL" => Some("http://all".to_owned()),
            _ => None,
        };
        assert_eq!(found(get, "Secrets Manager").as_deref(), Some("http://own"));
        assert_eq!(found(get, "DynamoDB").as_deref(), Some("http://all"));
        assert_eq!(found(|_| None, "DynamoDB"), None);
    }

    #[test]
    fn endpoints_can_be_ignored_as_a_whole() {
        let get = |name: &str| match name {
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" => Some("True".to_owned()),
            _ => Some("http://any".to_owned()),
        };
        assert_eq!(found(get, "DynamoDB"), None);
    }

    async fn dynamodb_of(region: &'static str, fips: bool, get: fn(&str) -> Option<String>) -> Uri {
        let config = SdkConfig::builder()
            .region(Region::from_static(region))
            .use_fips(fips)
            .service_config(Endpoints { get });
        dynamodb(&config.build()).await.expect("there is one")
    }

    #[tokio::test]
    async fn dynamodb_is_where_region_and_environment_say() {
        let usual = dynamodb_of("eu-west-1", false, |_| None).await;
        assert_eq!(usual, "https://dynamodb.eu-west-1.amazonaws.com/");
        let fips = dynamodb_of("us-east-1", true, |_| None).await;
        assert_eq!(fips, "https://dynamodb-fips.us-east-1.amazonaws.com/");
        let china = dynamodb_of("cn-north-1", false, |_| None).await;
        assert_eq!(china, "https://dynamodb.cn-north-1.amazonaws.com.cn/");
        let ours = |_: &str| Some("http://127.0.0.1:8000".to_owned());
        let ours = dynamodb_of("eu-west-1", false, ours).await;
        assert_eq!(ours, "http://127.0.0.1:8000/");
    }
}
