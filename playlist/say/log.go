package say

// formerLogs are log messages of earlier versions, by the name that each has now. Stored
// events, and those of controllers one version back, still bear them.
var formerLogs = map[string]string{
	"alert file stays where it is":                                  "alert file cannot be moved",
	"alert not kept":                                                "alert not stored",
	"alert's row not closed":                                        "alert row not closed",
	"alert's row not opened":                                        "alert row not opened",
	"alert's rows cannot be read":                                   "alert rows cannot be read",
	"alert's sound is not fit to air":                               "alert sound unusable",
	"alert's sound not noted":                                       "alert sound not stored",
	"alert's sound will not air":                                    "alert sound cannot be played",
	"alerts not forgotten":                                          "old alerts not deleted",
	"alerts will be refused until this is fixed":                    "alerts of a sender will be refused until this is fixed",
	"alerts will be refused until this is put right":                "alerts of a sender will be refused until this is fixed",
	"answer not sent":                                               "reply not sent",
	"backup is no good":                                             "backup damaged",
	"ballast could not be laid down":                                "ballast file not written",
	"boot time not kept":                                            "boot time not stored",
	"broker complains":                                              "broker error",
	"checkpoint not kept":                                           "checkpoint not stored",
	"claimed before, not aired again":                               "row exists already, not aired again",
	"clip given up for its room":                                    "clip deleted to make room",
	"clip will not air, the next one is taken":                      "clip unusable, next clip chosen",
	"clips are handed out":                                          "clip server started",
	"clips are not fetched":                                         "clip fetching stopped",
	"clips are not handed out":                                      "clip server failed",
	"clock is right and what was recorded was ahead of it":          "clock confirmed, earlier records were ahead of it",
	"clock was set and nobody vouches for it":                       "clock was set and no source confirms it",
	"config in force not kept":                                      "config in force not stored",
	"county cannot keep a receipt, it is set aside":                 "county cannot store a receipt, it is set aside",
	"county does not answer":                                        "no reply from the county",
	"county has lost a document, a controller has it":               "county lost a document, restored from a controller",
	"county has lost receipts, they go again":                       "county lost receipts, sending them again",
	"county lacks earlier receipts, they go again":                  "county lacks earlier receipts, sending them again",
	"disk full: ballast given up":                                   "disk full: ballast file deleted",
	"document kept is damaged":                                      "stored document damaged",
	"document shown is worth nothing":                               "document from controller invalid",
	"emergency microphone fails":                                    "emergency microphone failed",
	"enrolment asked for":                                           "enrolment requested",
	"inline clip not kept":                                          "inline clip not stored",
	"interrupted clip waits to go on":                               "interrupted clip waits to resume",
	"link cannot begin":                                             "link not started",
	"manifest kept is no good":                                      "stored manifest invalid",
	"manifests not looked at":                                       "manifests not inspected",
	"output hangs as it is closed":                                  "output does not respond to close",
	"output hangs as it is opened":                                  "output does not respond to open",
	"question refused":                                              "request refused",
	"question refused: its reply subject is not its own":            "request refused: reply subject of another controller",
	"receipt cannot be kept":                                        "receipt cannot be stored",
	"relay hangs, the sound does not wait":                          "relay does not respond, the sound starts without it",
	"room not made":                                                 "no room freed on the disk",
	"schedule not asked":                                            "schedule not read",
	"state not kept":                                                "fact not stored",
	"state not read":                                                "fact not read",
	"store cannot be written: it goes on in memory":                 "store cannot be written: records go to memory",
	"store cannot be written: what was recorded is only in memory":  "store cannot be written: records are in memory only",
	"store cannot go on in memory":                                  "store cannot switch to memory",
	"store does not answer, asked again":                            "store call failed, trying again",
	"store lost receipts the county holds":                          "store lost receipts that the county has",
	"store not tended":                                              "store maintenance failed",
	"systemd does not listen":                                       "no systemd notify socket",
	"the link rests":                                                "link stopped: controller retired",
	"too many enrolments asked for, some are turned away":           "too many enrolment requests, some rejected",
	"watermark not kept":                                            "watermark not stored",
	"what an earlier run recorded in memory cannot be brought home": "records of an earlier run in memory cannot be restored",
}

// Log returns the words of a message of the device log; ok is false if it has none.
func Log(message string) (m Message, ok bool) {
	if now, renamed := formerLogs[message]; renamed {
		message = now
	}
	key := "log." + message
	return Message{Key: key}, Has(key)
}
