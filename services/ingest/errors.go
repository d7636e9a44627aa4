package ingest

import "witan.dev/internal/apierr"

// Errors that callers see.
var (
	// ErrSecretMissing refuses webhooks where nobody could tell a real one from a forged one.
	ErrSecretMissing = apierr.Precondition(apierr.ReasonWebhookSecretMissing,
		"no webhook secret is configured: put it into a file and name that in webhooks.github.secrets_file")
	// ErrSignatureMissing refuses a request without X-Hub-Signature-256. One of SHA-1 alone counts as none.
	ErrSignatureMissing = apierr.Unauthenticated(apierr.ReasonSignatureMissing, "the request has no signature X-Hub-Signature-256; the hook needs a secret")
	// ErrSignatureInvalid refuses a body that none of the secrets signed.
	ErrSignatureInvalid = apierr.Unauthenticated(apierr.ReasonSignatureInvalid, "the signature is not that of the body under a configured secret")
	// ErrContentType refuses what is not JSON.
	ErrContentType = apierr.Invalid(apierr.ReasonContentType, "webhooks are taken as application/json only: choose that content type in the hook's settings")
	// ErrHeaderMissing refuses a signed request without X-GitHub-Event or X-GitHub-Delivery, or with one that cannot be.
	ErrHeaderMissing = apierr.Invalid(apierr.ReasonDeliveryHeaderMissing, "the header is missing, or not what GitHub sends")
	// ErrMalformedJSON refuses a signed body that is no JSON object.
	ErrMalformedJSON = apierr.Invalid(apierr.ReasonMalformedJSON, "the body is not a JSON object")
	// ErrTooLarge refuses a body of more than MaxBody bytes.
	ErrTooLarge = apierr.ResourceExhausted(apierr.ReasonBodyTooLarge, "the body is larger than 25 MiB")
	// ErrStore says that a delivery may not have been stored. The sender delivers it again.
	ErrStore = apierr.Unavailable(apierr.ReasonStoreUnavailable, "the delivery was not stored in time; deliver it again")
	// ErrNotFound is a delivery that is not kept, or not the caller's.
	ErrNotFound = apierr.NotFound(apierr.ReasonDeliveryNotFound, "there is no such delivery")
	// ErrNoHistory is a process that takes deliveries and knows no database that keeps them.
	ErrNoHistory = apierr.Precondition(apierr.ReasonDeliveriesElsewhere,
		"this process takes webhooks and has no database: name it in its configuration, or ask a process that has one")
	// ErrTooManyRedeliveries ends what could go on for ever.
	ErrTooManyRedeliveries = apierr.Precondition(apierr.ReasonTooManyRedeliveries, "the delivery was handled again too often")
)
