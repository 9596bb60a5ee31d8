//! EventBridge as a stand-in that keeps the announced events.

use std::future::pending;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use super::fault_plan::{FaultPlan, StepFault};

/// Keeps the announced events.
#[derive(Debug, Clone)]
pub(super) struct Bus {
    pub(super) announced: Arc<Mutex<Vec<Value>>>,
    pub(super) faults: Arc<FaultPlan>,
}

impl HttpConnector for Bus {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default())
            .expect("the SDK sends JSON");
        let entry = &body["Entries"][0];
        assert_eq!(entry["DetailType"], "pushcast.campaign", "{body}");
        let detail = serde_json::from_str(entry["Detail"].as_str().expect("a detail"));
        let put = || self.announced.lock().unwrap().push(detail.expect("JSON"));
        let failed = || {
            let error = std::io::Error::other("the bus is away");
            HttpConnectorFuture::ready(Err(ConnectorError::io(error.into())))
        };
        match self.faults.step() {
            None => put(),
            Some(StepFault::Dies) => return HttpConnectorFuture::new(pending()),
            Some(StepFault::DiesAfter) => {
                put();
                return HttpConnectorFuture::new(pending());
            }
            Some(StepFault::Fails) => return failed(),
            Some(StepFault::FailsAfter) => {
                put();
                return failed();
            }
        }
        let answer = json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]});
        let status = StatusCode::try_from(200).expect("a status of HTTP");
        let answer = HttpResponse::new(status, SdkBody::from(answer.to_string()));
        HttpConnectorFuture::ready(Ok(answer))
    }
}
