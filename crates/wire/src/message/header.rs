//! The headers in front of every request and response.

use bytes::BufMut;

use super::schema::{Writer, write_tagged};
use super::versions::{Api, api};
use crate::ids::{ApiKey, ApiVersion, CorrelationId};
use crate::primitive::{DecodeError, Layout, Reader};

/// What stands in front of every request: which API, which version, and which response belongs to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestHeader {
    /// The API that is called.
    pub api_key: ApiKey,
    /// The version of the body that follows, and of the response.
    pub version: ApiVersion,
    /// Comes back in the response.
    pub correlation: CorrelationId,
    /// Who is asking, for the broker's logs and quotas.
    pub client_id: Option<String>,
}

impl RequestHeader {
    /// Reads the header of a request frame (without its size); the body follows.
    ///
    /// An API that is not known here is read as one without tagged fields; what follows it cannot be understood anyway.
    ///
    /// # Errors
    ///
    /// When the bytes are not a request header.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::read(reader).map_err(|e| e.in_field("RequestHeader"))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let api_key = ApiKey(reader.i16()?);
        let version = ApiVersion(reader.i16()?);
        let correlation = CorrelationId(reader.i32()?);
        // KIP-482 left the client id as it was, so that a broker can read it in front of a version it does not know.
        let client_id = reader.nullable_str(Layout::Classic)?.map(str::to_owned);
        if api(api_key).is_some_and(|api| api.layout(version) == Layout::Flexible) {
            reader.skip_tagged()?;
        }
        Ok(Self { api_key, version, correlation, client_id })
    }
}

/// What stands in front of every response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ResponseHeader {
    /// That of the request.
    pub correlation: CorrelationId,
}

impl ResponseHeader {
    /// Reads the header of a response frame (without its size) to a request of `api_key` and `version`; the body follows.
    ///
    /// # Errors
    ///
    /// When the bytes are not a response header.
    pub fn decode(api_key: ApiKey, version: ApiVersion, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let correlation = CorrelationId(reader.i32().map_err(|e| e.in_field("ResponseHeader"))?);
        if api(api_key).is_some_and(|api| has_tagged_fields(api, version)) {
            reader.skip_tagged().map_err(|e| e.in_field("ResponseHeader"))?;
        }
        Ok(Self { correlation })
    }
}

/// ApiVersions is answered before the client knows what the broker speaks, so its header never changes (KIP-511).
fn has_tagged_fields(api: &Api, version: ApiVersion) -> bool {
    api.key != ApiKey::API_VERSIONS && api.layout(version) == Layout::Flexible
}

pub(crate) fn write_request_header(
    out: &mut Writer,
    api: &Api,
    version: ApiVersion,
    correlation: CorrelationId,
    client_id: Option<&str>,
) {
    out.out().put_i16(api.key.0);
    out.out().put_i16(version.0);
    out.out().put_i32(correlation.0);
    out.nullable_str(client_id, Layout::Classic);
    if api.layout(version) == Layout::Flexible {
        write_tagged(out, &[]);
    }
}

pub(crate) fn write_response_header(out: &mut Writer, api: &Api, version: ApiVersion, correlation: CorrelationId) {
    out.out().put_i32(correlation.0);
    if has_tagged_fields(api, version) {
        write_tagged(out, &[]);
    }
}
