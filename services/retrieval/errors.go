package retrieval

import (
	"errors"

	"witan.dev/internal/apierr"
)

// What callers may see.
var (
	// ErrIndexNotFound: there is no such index, or it belongs to somebody else.
	ErrIndexNotFound = apierr.NotFound(apierr.ReasonIndexNotFound, "there is no such index")
	// ErrIndexNotReady: the index is still being built, or its job has ended without success.
	ErrIndexNotReady = apierr.Precondition(apierr.ReasonIndexNotReady, "the index cannot be read yet; its job says how far it is")
	// ErrNotARepository: the folder is no git repository.
	ErrNotARepository = apierr.Precondition(apierr.ReasonNotARepository, "the folder is no git repository that can be read")
	// ErrSnapshotInvalid: the uploaded snapshot is none, or breaks a rule.
	ErrSnapshotInvalid = apierr.Invalid(apierr.ReasonSnapshotInvalid, "the snapshot cannot be read")
	// ErrSnapshotTooLarge: the uploaded snapshot has more than MaxFiles files or MaxBytes bytes.
	ErrSnapshotTooLarge = apierr.Invalid(apierr.ReasonSnapshotTooLarge, "the snapshot has more than 50,000 files or 500 MiB when it is unpacked")
	// ErrRevisionUnknown: the repository has no such commit or tree.
	ErrRevisionUnknown = apierr.Invalid(apierr.ReasonRevisionUnknown, "the repository has no such commit or tree")
)

// What only this service sees.
var (
	// ErrTreeTooLarge: the tree has more than MaxTreeEntries entries.
	ErrTreeTooLarge = errors.New("retrieval: the tree has more entries than are listed")
	// ErrBlobMissing: the repository does not have the blob, or the object is none.
	ErrBlobMissing = errors.New("retrieval: the blob is missing")
	// ErrBlobTooLarge: the blob has more bytes than were asked for.
	ErrBlobTooLarge = errors.New("retrieval: the blob is too large")
)
