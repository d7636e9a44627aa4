// Package secret holds texts that must not be shown.
package secret

import "log/slog"

const redacted = "[redacted]"

// Text is a secret. Every way of printing, logging or encoding it says "[redacted]"; Reveal is the only way to the text.
type Text struct{ text string }

// New makes text a secret.
func New(text string) Text { return Text{text} }

// Reveal returns the text itself, for the one place that sends it.
func (t Text) Reveal() string { return t.text }

// IsZero says whether there is no secret.
func (t Text) IsZero() bool { return t.text == "" }

// String hides the text.
func (Text) String() string { return redacted }

// GoString hides the text from %#v.
func (Text) GoString() string { return redacted }

// MarshalText hides the text from encoders.
func (Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue hides the text from slog.
func (Text) LogValue() slog.Value { return slog.StringValue(redacted) }
