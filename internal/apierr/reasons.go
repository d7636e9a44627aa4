package apierr

// Every reason that leaves the system. The sentence is what the caller can do; docs/errors.md lists them from here.
const (
	// ReasonInternal: a failure of ours; report it with the request ID.
	ReasonInternal Reason = "INTERNAL"
	// ReasonUnavailable: a part of the system cannot be reached; try again after a moment.
	ReasonUnavailable Reason = "UNAVAILABLE"
	// ReasonDeadlineExceeded: the call took longer than its deadline; ask again with a longer one.
	ReasonDeadlineExceeded Reason = "DEADLINE_EXCEEDED"
	// ReasonDeadlineTooShort: the call arrived with too little time left; give it a longer deadline.
	ReasonDeadlineTooShort Reason = "DEADLINE_TOO_SHORT"
	// ReasonCanceled: the caller gave the call up; nothing to do.
	ReasonCanceled Reason = "CANCELED"
	// ReasonServerStopping: the server is going down; connect again and resume from the last seq.
	ReasonServerStopping Reason = "SERVER_STOPPING"
	// ReasonRPCUnknown: there is no such RPC or route; compare with the OpenAPI description or the protos.
	ReasonRPCUnknown Reason = "RPC_UNKNOWN"
	// ReasonMethodNotAllowed: the route exists, but not for this HTTP method; use one of the Allow header.
	ReasonMethodNotAllowed Reason = "METHOD_NOT_ALLOWED"
	// ReasonNotImplemented: this version does not have it; use a newer one.
	ReasonNotImplemented Reason = "NOT_IMPLEMENTED"
	// ReasonInvalidRequest: fields of the request break a rule; the field violations say which.
	ReasonInvalidRequest Reason = "INVALID_REQUEST"
	// ReasonMalformedBody: the body is not the JSON that the route expects; correct it.
	ReasonMalformedBody Reason = "MALFORMED_BODY"
	// ReasonInvalidUTF8: a text is not UTF-8; send bytes as base64 or quote them.
	ReasonInvalidUTF8 Reason = "INVALID_UTF8"
	// ReasonQueryUnknown: the route has no such query parameter; remove it or correct its spelling.
	ReasonQueryUnknown Reason = "QUERY_PARAMETER_UNKNOWN"
	// ReasonQueryInvalid: a query parameter cannot be read; correct its value.
	ReasonQueryInvalid Reason = "QUERY_PARAMETER_INVALID"
	// ReasonBodyTooLarge: the request is larger than the server takes; upload the material and name it by ID.
	ReasonBodyTooLarge Reason = "BODY_TOO_LARGE"
	// ReasonMessageTooLarge: a message is larger than the transport takes; ask for a smaller page or view.
	ReasonMessageTooLarge Reason = "MESSAGE_TOO_LARGE"
	// ReasonTokenMissing: the call shows no bearer token; the operator gives them out (`witan token new`).
	ReasonTokenMissing Reason = "TOKEN_MISSING"
	// ReasonOwnerInvalid: a service named no owner to act for, or one that cannot be; correct its metadata.
	ReasonOwnerInvalid Reason = "OWNER_INVALID"
	// ReasonTokenInvalid: the bearer token is not this server's, or not any more; ask the operator for a new one (a data folder writes one each time it is taken).
	ReasonTokenInvalid Reason = "TOKEN_INVALID"
	// ReasonLocalSourceRefused: a path on the server's machine was named without the data folder's token; upload the material.
	ReasonLocalSourceRefused Reason = "LOCAL_SOURCE_REFUSED"
	// ReasonCrossOrigin: a page of another site sent the request; call from the server's own origin or without a browser.
	ReasonCrossOrigin Reason = "CROSS_ORIGIN"
	// ReasonPageTokenInvalid: the page token was not given out for this list and filter; begin again without one.
	ReasonPageTokenInvalid Reason = "PAGE_TOKEN_INVALID"
	// ReasonRequestIDReused: the request ID was used for another request; take a new UUID.
	ReasonRequestIDReused Reason = "REQUEST_ID_REUSED"
	// ReasonETagMismatch: the resource changed since it was read; read it again.
	ReasonETagMismatch Reason = "ETAG_MISMATCH"

	// ReasonDataFolderInUse: another process holds the data folder; use it as server, or name another folder.
	ReasonDataFolderInUse Reason = "DATA_FOLDER_IN_USE"
	// ReasonDatabaseAway: the database does not answer; try again after a moment.
	ReasonDatabaseAway Reason = "DATABASE_AWAY"
	// ReasonSchemaMismatch: the database's schema is older than the program needs, or newer than it knows; run `witan migrate` of the newest version.
	ReasonSchemaMismatch Reason = "SCHEMA_MISMATCH"

	// ReasonJobNotFound: there is no such job, or it is someone else's; check the ID.
	ReasonJobNotFound Reason = "JOB_NOT_FOUND"
	// ReasonJobNotFinished: the job still runs; wait for its end or cancel it first.
	ReasonJobNotFinished Reason = "JOB_NOT_FINISHED"
	// ReasonJobNotRetryable: a succeeded job has nothing to retry; create a new one.
	ReasonJobNotRetryable Reason = "JOB_NOT_RETRYABLE"
	// ReasonHistoryExpired: the asked-for events are gone; read the job itself, or watch from a snapshot.
	ReasonHistoryExpired Reason = "HISTORY_EXPIRED"
	// ReasonSequenceAhead: the position lies beyond the log; use a seq that this job has sent.
	ReasonSequenceAhead Reason = "SEQUENCE_AHEAD"
	// ReasonViewerTooSlow: the stream was not read at all for too long; watch again from the seq in the metadata.
	ReasonViewerTooSlow Reason = "VIEWER_TOO_SLOW"
	// ReasonRecoveryAttemptsExceeded: the job was taken over too often without progress; look at the log, then retry it.
	ReasonRecoveryAttemptsExceeded Reason = "RECOVERY_ATTEMPTS_EXCEEDED"
	// ReasonQueueExpired: no worker took the job in time; see that one runs for its queue, then retry the job.
	ReasonQueueExpired Reason = "QUEUE_EXPIRED"

	// ReasonBlobNotFound: there is no such blob, or it is someone else's; upload it again.
	ReasonBlobNotFound Reason = "BLOB_NOT_FOUND"
	// ReasonUploadMalformed: order, size or SHA-256 of an upload do not fit; send it again.
	ReasonUploadMalformed Reason = "UPLOAD_MALFORMED"
	// ReasonMaterialTooLarge: the material is larger than the limit; send less, or upload it and name it by ID.
	ReasonMaterialTooLarge Reason = "MATERIAL_TOO_LARGE"

	// ReasonSnapshotInvalid: the snapshot is no tar of a tree, or has links, devices or paths that leave it; the message says what.
	ReasonSnapshotInvalid Reason = "SNAPSHOT_INVALID"
	// ReasonSnapshotTooLarge: the snapshot has too many files or bytes when it is unpacked; leave out what need not be searched.
	ReasonSnapshotTooLarge Reason = "SNAPSHOT_TOO_LARGE"

	// ReasonConversationNotFound: there is no such conversation, or it is someone else's; check the ID.
	ReasonConversationNotFound Reason = "CONVERSATION_NOT_FOUND"
	// ReasonConversationActive: a deliberation runs in the conversation; wait for the job in the metadata.
	ReasonConversationActive Reason = "CONVERSATION_ACTIVE"
	// ReasonDeliberationNotFound: there is no such deliberation, or it is someone else's; check the ID.
	ReasonDeliberationNotFound Reason = "DELIBERATION_NOT_FOUND"
	// ReasonCouncilNotFound: there is no such council; list the councils.
	ReasonCouncilNotFound Reason = "COUNCIL_NOT_FOUND"
	// ReasonCouncilExists: the name is taken; take another one.
	ReasonCouncilExists Reason = "COUNCIL_EXISTS"
	// ReasonCouncilReadOnly: the council comes from the configuration; change it there.
	ReasonCouncilReadOnly Reason = "COUNCIL_READ_ONLY"
	// ReasonCouncilInvalid: the council cannot sit as described; the message says what is missing.
	ReasonCouncilInvalid Reason = "COUNCIL_INVALID"
	// ReasonModelUnknown: no configured model has this name; list the models.
	ReasonModelUnknown Reason = "MODEL_UNKNOWN"
	// ReasonNoModelConfigured: a question needs a model; configure one (`witan doctor` says how).
	ReasonNoModelConfigured Reason = "NO_MODEL_CONFIGURED"
	// ReasonBudgetTooSmall: the cap is below the smallest estimate; raise it.
	ReasonBudgetTooSmall Reason = "BUDGET_TOO_SMALL"
	// ReasonPriceUnknown: a cost cap needs prices of all models; configure them or cap tokens.
	ReasonPriceUnknown Reason = "PRICE_UNKNOWN"
	// ReasonQuorumNotReached: too little of the council delivered; look at the failures, then retry the job.
	ReasonQuorumNotReached Reason = "QUORUM_NOT_REACHED"

	// ReasonReviewNotFound: there is no such review, or it is someone else's; check the ID.
	ReasonReviewNotFound Reason = "REVIEW_NOT_FOUND"
	// ReasonFindingNotFound: there is no such finding, or it is someone else's; check the name.
	ReasonFindingNotFound Reason = "FINDING_NOT_FOUND"
	// ReasonSubjectClosed: findings of a closed subject are frozen; nothing to do.
	ReasonSubjectClosed Reason = "SUBJECT_CLOSED"
	// ReasonPullRequestNotFound: there is no such pull request, or the credentials do not see it; check its name, and that the
	// App is installed on the repository.
	ReasonPullRequestNotFound Reason = "PULL_REQUEST_NOT_FOUND"
	// ReasonForgeRefused: the forge refuses the credentials; check their expiry and permissions, `witan doctor` lists them.
	ReasonForgeRefused Reason = "FORGE_REFUSED"
	// ReasonForgeNotConfigured: there are no credentials for a forge; configure a GitHub App or a token.
	ReasonForgeNotConfigured Reason = "FORGE_NOT_CONFIGURED"
	// ReasonForgeUnavailable: the forge did not answer, or held us to its limits, for longer than the configuration waits; retry
	// the job when the forge is back.
	ReasonForgeUnavailable Reason = "FORGE_UNAVAILABLE"
	// ReasonForgeNotYours: pull requests at this server's forge are for the owner of its webhooks; use that owner's token.
	ReasonForgeNotYours Reason = "FORGE_NOT_YOURS"
	// ReasonTriggerRefused: a caller named what a review was started by, which only the service does; leave the field out.
	ReasonTriggerRefused Reason = "TRIGGER_REFUSED"
	// ReasonEventRefused: a caller said what happened at a forge, which only the service itself does; send a webhook instead.
	ReasonEventRefused Reason = "EVENT_REFUSED"
	// ReasonNotARepository: the folder is no git repository; name one.
	ReasonNotARepository Reason = "NOT_A_REPOSITORY"
	// ReasonRepositoryUnreadable: git fails on the repository, which may be damaged or incomplete; the detail has git's words.
	ReasonRepositoryUnreadable Reason = "REPOSITORY_UNREADABLE"
	// ReasonRevisionUnknown: the repository has no such revision; check its spelling or fetch it.
	ReasonRevisionUnknown Reason = "REVISION_UNKNOWN"
	// ReasonNoChanges: there is nothing to review; name another range.
	ReasonNoChanges Reason = "NO_CHANGES"
	// ReasonNotADiff: the text is no unified diff; send the output of `git diff`.
	ReasonNotADiff Reason = "NOT_A_DIFF"
	// ReasonCombinedDiff: a merge's combined diff cannot be reviewed; diff against one parent.
	ReasonCombinedDiff Reason = "COMBINED_DIFF"
	// ReasonSeveralPatches: several patches follow each other; send one diff.
	ReasonSeveralPatches Reason = "SEVERAL_PATCHES"
	// ReasonReportMalformed: a linter's report is in none of the formats that are read; send SARIF 2.1.0, rdjson, rdjsonl or
	// checkstyle.
	ReasonReportMalformed Reason = "REPORT_MALFORMED"
	// ReasonSourceNotSupported: this version cannot review such a source; use a git range, a working tree or a diff.
	ReasonSourceNotSupported Reason = "SOURCE_NOT_SUPPORTED"
	// ReasonFormatNotSupported: this version cannot write the format; take another one.
	ReasonFormatNotSupported Reason = "FORMAT_NOT_SUPPORTED"

	// ReasonIndexNotFound: there is no such index, or it is someone else's; check the ID.
	ReasonIndexNotFound Reason = "INDEX_NOT_FOUND"
	// ReasonIndexNotReady: the index is being built; wait for its job.
	ReasonIndexNotReady Reason = "INDEX_NOT_READY"
	// ReasonLanguageUnknown: the parser has no such language; list the languages, or leave it empty.
	ReasonLanguageUnknown Reason = "LANGUAGE_UNKNOWN"

	// ReasonDeliveryNotFound: there is no such delivery; check the ID.
	ReasonDeliveryNotFound Reason = "DELIVERY_NOT_FOUND"
	// ReasonWebhookSecretMissing: no secret is configured, so no webhook can be told from a forged one; name its file in webhooks.github.secrets_file.
	ReasonWebhookSecretMissing Reason = "WEBHOOK_SECRET_MISSING" //nolint:gosec // a reason, no secret
	// ReasonSignatureMissing: the webhook has no X-Hub-Signature-256; give the hook the secret that is configured here.
	ReasonSignatureMissing Reason = "SIGNATURE_MISSING"
	// ReasonSignatureInvalid: the signature is not that of the body under a configured secret; compare the hook's secret with the configured ones.
	ReasonSignatureInvalid Reason = "SIGNATURE_INVALID"
	// ReasonContentType: the body is of another content type than the route takes; choose application/json in the hook's settings.
	ReasonContentType Reason = "CONTENT_TYPE_NOT_SUPPORTED"
	// ReasonDeliveryHeaderMissing: a header that names event or delivery is missing or malformed; the metadata names it.
	ReasonDeliveryHeaderMissing Reason = "DELIVERY_HEADER_MISSING"
	// ReasonMalformedJSON: the webhook's body is no JSON object; deliver it again as the sender made it.
	ReasonMalformedJSON Reason = "MALFORMED_JSON"
	// ReasonStoreUnavailable: the webhook was not stored in time and is not promised; deliver it again.
	ReasonStoreUnavailable Reason = "STORE_UNAVAILABLE"
	// ReasonIngestBusy: too many large webhooks arrive at once; deliver it again after a moment.
	ReasonIngestBusy Reason = "INGEST_BUSY"
	// ReasonDeliveriesElsewhere: this process takes webhooks and keeps none of their history; name the database in its configuration, or ask a process that has it.
	ReasonDeliveriesElsewhere Reason = "DELIVERIES_ELSEWHERE"
	// ReasonTooManyRedeliveries: the delivery was handled again too often; send it anew.
	ReasonTooManyRedeliveries Reason = "TOO_MANY_REDELIVERIES"
)
