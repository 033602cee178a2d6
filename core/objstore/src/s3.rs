//! S3 and what speaks its protocol, through the AWS SDK.
//!
//! The SDK's own retries are off: [`crate::Store`] repeats failed attempts, because it must know about
//! each one of a conditional PUT, and counts them. Credentials come from the SDK's chain: environment,
//! profile files, web identity, container and instance roles. Checksums are sent and verified only where
//! S3 requires them: every object carries its own, and other stores reject the trailers.

use std::error::Error as StdError;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::Object;
use bytes::Bytes;

use crate::error::{StoreError, StoreErrorKind, StoreResult};
use crate::traits::{ObjectInfo, ObjectStore, Page, PutOutcome, StoreFuture};

/// How the bucket is named in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum S3PathStyle {
    /// `Path` with an endpoint of one's own, `Virtual` with AWS.
    #[default]
    Auto,
    /// `https://endpoint/bucket/key`
    Path,
    /// `https://bucket.endpoint/key`
    Virtual,
}

/// What the SDK's environment and profile do not say, or say wrongly.
#[derive(Clone, Debug, Default)]
pub struct S3Options {
    /// `http://` or `https://` address of a store that is not AWS.
    pub endpoint: Option<String>,
    /// The region; `us-east-1` where neither this nor the environment names one.
    pub region: Option<String>,
    /// How the bucket is named.
    pub path_style: S3PathStyle,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

const DEFAULT_REGION: &str = "us-east-1";

/// A bucket, or the part of it below a prefix.
#[derive(Clone, Debug)]
pub struct S3Store {
    client: Client,
    bucket: String,
    /// Empty, or ends in a slash.
    prefix: String,
    endpoint: Option<String>,
}

impl S3Store {
    /// Finds configuration and credentials providers; sends nothing to S3. Runs in a tokio runtime.
    ///
    /// # Errors
    /// `Invalid` for an endpoint without a scheme.
    pub async fn open(bucket: String, prefix: String, options: S3Options) -> StoreResult<Self> {
        check_endpoint(options.endpoint.as_deref())?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build());
        if let Some(endpoint) = &options.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(region) = options.region {
            loader = loader.region(Region::new(region));
        }
        let config = loader.load().await;
        let endpoint = config.endpoint_url().map(str::to_owned).or_else(environment_endpoint);
        let path_style = match options.path_style {
            S3PathStyle::Auto => endpoint.is_some(),
            S3PathStyle::Path => true,
            S3PathStyle::Virtual => false,
        };
        let mut builder = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(path_style)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if config.region().is_none() {
            builder = builder.region(Region::from_static(DEFAULT_REGION));
        }
        let client = Client::from_conf(builder.build());
        let prefix = if prefix.is_empty() { prefix } else { format!("{prefix}/") };
        Ok(Self { client, bucket, prefix, endpoint })
    }

    fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    async fn fetch(&self, key: &str, range: Option<Range<u64>>) -> StoreResult<Bytes> {
        let header = range.map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        let request = self.client.get_object().bucket(&self.bucket).key(self.full_key(key));
        let answer = request.set_range(header).send().await;
        let answer: GetObjectOutput = answer.map_err(|error| self.failure(&error))?;
        let body = answer.body.collect().await;
        let body = body.map_err(|error| StoreError::unavailable(format!("reading the answer: {error}")))?;
        Ok(body.into_bytes())
    }

    async fn exists(&self, key: &str) -> StoreResult<Option<u64>> {
        let request = self.client.head_object().bucket(&self.bucket).key(self.full_key(key));
        match request.send().await {
            Ok(answer) => Ok(answer.content_length().and_then(|length| u64::try_from(length).ok())),
            Err(error) => match self.failure(&error) {
                failure if failure.is_not_found() => Ok(None),
                failure => Err(failure),
            },
        }
    }

    async fn write(&self, key: &str, bytes: Bytes) -> StoreResult<()> {
        let request = self.client.put_object().bucket(&self.bucket).key(self.full_key(key));
        let sent = request.body(ByteStream::from(bytes)).send().await;
        sent.map(drop).map_err(|error| self.failure(&error))
    }

    async fn create(&self, key: &str, bytes: Bytes) -> StoreResult<PutOutcome> {
        let request = self.client.put_object().bucket(&self.bucket).key(self.full_key(key));
        match request.if_none_match("*").body(ByteStream::from(bytes)).send().await {
            Ok(_) => Ok(PutOutcome::Created),
            Err(error) if status(&error) == Some(412) => Ok(PutOutcome::Exists),
            Err(error) => Err(self.failure(&error)),
        }
    }

    async fn remove(&self, key: &str) -> StoreResult<()> {
        let request = self.client.delete_object().bucket(&self.bucket).key(self.full_key(key));
        match request.send().await.map_err(|error| self.failure(&error)) {
            Err(failure) if !failure.is_not_found() => Err(failure),
            _ => Ok(()),
        }
    }

    async fn page(&self, prefix: &str, start_after: Option<&str>) -> StoreResult<Page> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(self.full_key(prefix));
        let after = start_after.map(|key| self.full_key(key));
        let answer = request.set_start_after(after).send().await;
        let answer: ListObjectsV2Output = answer.map_err(|error| self.failure(&error))?;
        let more = answer.is_truncated().unwrap_or(false);
        let objects = answer.contents().iter().filter_map(|object| self.info(object)).collect();
        Ok(Page { objects, more })
    }

    fn info(&self, object: &Object) -> Option<ObjectInfo> {
        let key = object.key()?.strip_prefix(&self.prefix)?.to_owned();
        let modified = object.last_modified().and_then(|time| SystemTime::try_from(*time).ok());
        Some(ObjectInfo {
            key,
            size: u64::try_from(object.size().unwrap_or(0)).unwrap_or(0),
            modified: modified.unwrap_or(SystemTime::UNIX_EPOCH),
        })
    }

    /// What a failed attempt means.
    fn failure<E>(&self, error: &SdkError<E>) -> StoreError
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let text = DisplayErrorContext(error).to_string();
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
        let kind = kind_of(code, status(error), is_without_credentials(error, &text));
        let what = match kind {
            StoreErrorKind::NotFound => "no such object".to_owned(),
            StoreErrorKind::Denied => format!(
                "{} refuses the request or there are no credentials; check AWS_ACCESS_KEY_ID, AWS_PROFILE or \
                 the role, and the bucket's policy: {text}",
                self.location()
            ),
            _ => format!("{}: {text}", self.location()),
        };
        StoreError::new(kind, what)
    }
}

impl ObjectStore for S3Store {
    fn location(&self) -> String {
        let prefix = self.prefix.trim_end_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        let url = format!("s3://{}{slash}{prefix}", self.bucket);
        match &self.endpoint {
            Some(endpoint) => format!("{url} at {endpoint}"),
            None => url,
        }
    }

    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Bytes> {
        Box::pin(self.fetch(key, None))
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> StoreFuture<'a, Bytes> {
        Box::pin(self.fetch(key, Some(range)))
    }

    fn put<'a>(&'a self, key: &'a str, bytes: Bytes) -> StoreFuture<'a, ()> {
        Box::pin(self.write(key, bytes))
    }

    fn put_if_absent<'a>(&'a self, key: &'a str, bytes: Bytes) -> StoreFuture<'a, PutOutcome> {
        Box::pin(self.create(key, bytes))
    }

    fn head<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<u64>> {
        Box::pin(self.exists(key))
    }

    fn delete<'a>(&'a self, key: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(self.remove(key))
    }

    fn list_page<'a>(&'a self, prefix: &'a str, start_after: Option<&'a str>) -> StoreFuture<'a, Page> {
        Box::pin(self.page(prefix, start_after))
    }
}

fn check_endpoint(endpoint: Option<&str>) -> StoreResult<()> {
    match endpoint {
        Some(text) if !text.starts_with("http://") && !text.starts_with("https://") => {
            let message = format!("S3 endpoint {text:?} must start with http:// or https://");
            Err(StoreError::new(StoreErrorKind::Invalid, message))
        }
        _ => Ok(()),
    }
}

/// The service-specific variable, which the SDK reads later than the general one.
fn environment_endpoint() -> Option<String> {
    std::env::var("AWS_ENDPOINT_URL_S3").ok().filter(|text| !text.is_empty())
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn is_without_credentials<E>(error: &SdkError<E>, text: &str) -> bool {
    let before_sending = matches!(error, SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_));
    before_sending && (text.contains("CredentialsNotLoaded") || text.contains("no providers in chain"))
}

/// The kind of a failure by S3's error code (S3 API reference, "List of error codes"), then by status.
fn kind_of(code: &str, status: Option<u16>, no_credentials: bool) -> StoreErrorKind {
    match (code, status) {
        _ if no_credentials => StoreErrorKind::Denied,
        ("NoSuchBucket" | "InvalidBucketName" | "PermanentRedirect", _) => StoreErrorKind::Invalid,
        ("RequestTimeout" | "RequestTimeTooSkewed" | "SlowDown", _) => StoreErrorKind::Unavailable,
        ("ExpiredToken", _) => StoreErrorKind::Denied,
        (_, Some(404)) => StoreErrorKind::NotFound,
        (_, Some(401 | 403)) => StoreErrorKind::Denied,
        // 409: a conditional PUT of the same key is under way.
        (_, Some(408 | 409 | 429 | 500..)) | (_, None) => StoreErrorKind::Unavailable,
        (_, Some(_)) => StoreErrorKind::Invalid,
    }
}
