package ingest

import (
	"witan.dev/internal/apierr"
	"witan.dev/internal/webhook"
)

// Errors that callers see.
var (
	// ErrSecretMissing refuses webhooks where nobody could tell a real one from a forged one.
	ErrSecretMissing = apierr.Precondition(apierr.ReasonWebhookSecretMissing,
		"no webhook secret is configured: put it into a file and name that in webhooks.github.secrets_file")
	// ErrSignatureMissing refuses a request without X-Hub-Signature-256. One of SHA-1 alone counts as none.
	ErrSignatureMissing = webhook.ErrSignatureMissing
	// ErrSignatureInvalid refuses a body that none of the secrets signed.
	ErrSignatureInvalid = apierr.Unauthenticated(apierr.ReasonSignatureInvalid, "the signature is not that of the body under a configured secret")
	// ErrContentType refuses what is not JSON.
	ErrContentType = webhook.ErrContentType
	// ErrHeaderMissing refuses a signed request without X-GitHub-Event or X-GitHub-Delivery, or with one that cannot be.
	ErrHeaderMissing = apierr.Invalid(apierr.ReasonDeliveryHeaderMissing, "the header is missing, or not what GitHub sends")
	// ErrMalformedJSON refuses a signed body that is no JSON object.
	ErrMalformedJSON = apierr.Invalid(apierr.ReasonMalformedJSON, "the body is not a JSON object")
	// ErrTooLarge refuses a body of more than MaxBody bytes.
	ErrTooLarge = webhook.ErrTooLarge
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
