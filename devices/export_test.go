package devices

const Patience = patience

var (
	SoundedIn = soundedIn
	CardOf    = cardOf
	HoldersIn = holdersIn
)

// OpenerAmong makes an opener that finds the first card by the function.
func OpenerAmong(first func() (string, error)) *Opener { return &Opener{first: first} }
