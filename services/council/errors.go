package council

import (
	"fmt"

	"witan.dev/internal/apierr"
)

// What callers may see. They are matched by reason.
var (
	ErrConversationNotFound = apierr.NotFound(apierr.ReasonConversationNotFound, "there is no such conversation")
	// ErrConversationDeleted: the request is known, and the conversation that it made has been deleted since.
	ErrConversationDeleted  = apierr.NotFound(apierr.ReasonConversationNotFound, "what this request_id created was deleted; take a new one to create it again")
	ErrDeliberationNotFound = apierr.NotFound(apierr.ReasonDeliberationNotFound, "there is no such deliberation")
	ErrCouncilNotFound      = apierr.NotFound(apierr.ReasonCouncilNotFound, "there is no such council; list the councils")
	ErrBlobNotFound         = apierr.NotFound(apierr.ReasonBlobNotFound, "there is no such blob; upload it again")
	// ErrConversationActive: a deliberation runs in the conversation. Its metadata name the job.
	ErrConversationActive = apierr.Precondition(apierr.ReasonConversationActive, "a deliberation is running in this conversation; wait for its job, or cancel it")
	ErrRequestIDReused    = apierr.AlreadyExists(apierr.ReasonRequestIDReused, "this request_id was used before for another request; take a new one")
	// ErrNoModelConfigured: a question needs at least one model.
	ErrNoModelConfigured = apierr.Precondition(apierr.ReasonNoModelConfigured, "a question to the council needs a model and none is configured; `witan doctor` says how to configure one")
	ErrCouncilInvalid    = apierr.Invalid(apierr.ReasonCouncilInvalid, "the council cannot sit as described")
	ErrModelUnknown      = apierr.Invalid(apierr.ReasonModelUnknown, "no configured model has this name; list the models")
	// ErrPriceUnknown: a cap on money needs prices of all models, in one currency.
	ErrPriceUnknown   = apierr.Precondition(apierr.ReasonPriceUnknown, "a cap on cost needs the prices of all models of the council, in its currency; configure them, or cap tokens")
	ErrBudgetTooSmall = apierr.Precondition(apierr.ReasonBudgetTooSmall, "the budget is below the smallest estimate; raise it")
	ErrTaskInvalid    = apierr.Invalid(apierr.ReasonInvalidRequest, "the task cannot be deliberated on as it is")
)

// unsupported refuses what the contract has and this version does not do.
func unsupported(what string) error {
	return apierr.Unimplemented(apierr.ReasonNotImplemented, what)
}

// invalid joins an error of validation to its sentinel, with the text for the caller.
func invalid(kind *apierr.Error, field string, err error) error {
	return kind.Field(field, err.Error()).Wrap(fmt.Errorf("validate: %w", err))
}
