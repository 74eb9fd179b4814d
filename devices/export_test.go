package devices

const Patience = patience

var (
	SoundedIn = soundedIn
	CardOf    = cardOf
	HoldersIn = holdersIn
)

// OpenerAmong is an opener that finds the first card as told.
func OpenerAmong(first func() (string, error)) *Opener { return &Opener{first: first} }
