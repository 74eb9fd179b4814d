package ingest

// BeingWritten and OpenToWrite are tested alone: a test cannot be another user.
var (
	BeingWritten = beingWritten
	OpenToWrite  = openToWrite
)
