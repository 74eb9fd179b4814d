package playlist

// Rank is a place on the ladder of what may take an output from what. The
// higher preempts the lower; equals queue.
type Rank int

// The ladder, highest first. Emergency levels run from 1 (red) to 4 (blue).
const (
	RankMicrophone     Rank = 1000
	RankEmergency1     Rank = 940
	RankEmergency2     Rank = 930
	RankEmergency3     Rank = 920
	RankEmergency4     Rank = 910
	RankActualDrill    Rank = 520
	RankSimulatedDrill Rank = 510
	RankTechnician     Rank = 300 // a test tone or a clip played by hand
	RankScheduled      Rank = 100 // plus the slot's priority
	RankFiller         Rank = 0
)

// The range of a slot's priority, and its default.
const (
	MinPriority     = 1
	MaxPriority     = 9
	DefaultPriority = 5
)

// RankTopScheduled is the highest rank of a slot.
const RankTopScheduled = RankScheduled + 2*MaxPriority

// Scheduled reports whether the rank is a slot's.
func (r Rank) Scheduled() bool { return r >= RankScheduled && r <= RankTopScheduled }

// Emergency reports whether the rank ignores quiet hours and ceilings.
func (r Rank) Emergency() bool { return r >= RankEmergency4 }
