package playlist

import "errors"

// ErrInvalid marks input that breaks a rule of the domain. Its text is fit
// for an operator's screen.
var ErrInvalid = errors.New("invalid")
