package playlist

import "time"

// Position is how far a device has come, as measured at an instant. It never
// runs backwards while the device is open.
type Position struct {
	Consumed  int64     // frames that have left the device since it was opened, or since its file began
	At        time.Time // when that was measured, with its monotonic reading
	Underruns int64     // times the queue ran dry since it was opened
}
