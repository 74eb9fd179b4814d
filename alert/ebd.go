package alert

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// EBD is the head of a package [D].
type EBD struct {
	Version string
	ID      string // EBDID; it stays the same if the package is sent again
	Type    string
	From    string // EBRID of the sender
	FromURL string
	To      string // EBRID of the receiver
	Time    time.Time
	Related string // EBDID of the package to which this one responds
}

// ResultCode is the result of a package, in an EBDResponse.
type ResultCode int

// The results [D].
const (
	ResultReceived    ResultCode = 0
	ResultDone        ResultCode = 1
	ResultUnparseable ResultCode = 2
	ResultMissing     ResultCode = 3
	ResultSignature   ResultCode = 4
	ResultOther       ResultCode = 5
)

// Result is the body of an EBDResponse.
type Result struct {
	Code ResultCode
	Desc string
}

// ResultOf returns the result for a package that [Parse] refused with err or, if err is
// nil, accepted with that signature.
func ResultOf(err error, s emergency.Signature) ResultCode {
	switch {
	case err == nil && s.State == emergency.SignatureBad:
		return ResultSignature
	case err == nil:
		return ResultReceived
	case errors.Is(err, ErrMissing):
		return ResultMissing
	case errors.Is(err, playlist.ErrInvalid):
		return ResultUnparseable
	}
	return ResultOther
}

// BrdState is the state of a message's broadcast.
type BrdState int

// The states [D].
const (
	BrdUntouched BrdState = 0
	BrdWaiting   BrdState = 1
	BrdAiring    BrdState = 2
	BrdDone      BrdState = 3
	BrdFailed    BrdState = 4 // wholly or partly
	BrdCancelled BrdState = 5
)

// State is the body of an EBMStateResponse. The caller fills in figures that were
// measured, and leaves the others out.
type State struct {
	EBM      playlist.AlertID
	At       time.Time
	Code     BrdState
	Desc     string
	Coverage *Coverage // nil: not measured
	Items    []StateItem
}

// Coverage says what share and which areas a message reached.
type Coverage struct {
	Rate  float64 // 0 to 1
	Areas []playlist.Area
	Stat  [4]int // how many platforms, adapters, transmitters and terminals aired it
}

// StateItem is what one device did.
type StateItem struct {
	Platform, Station, Adapter string // EBRIDs of those that the device belongs to; "" if it has none
	Device                     string // BrdSysInfo
	At, Start, End             time.Time
	File                       string // FileURL: a recording, if there is one
	Code                       BrdState
	Desc                       string
}

// OMD is the body of an OMDRequest: what to report, and for which period.
type OMD struct {
	Type       string
	From, To   time.Time
	ReportType string
}

// ebdPackage holds the members of a package's tar; body is the one with the EBD.
type ebdPackage struct {
	body    member
	members []member
}

func (p *ebdPackage) find(name string) *member {
	if p == nil {
		return nil
	}
	i := slices.IndexFunc(p.members, func(m member) bool { return m.name == name })
	if i < 0 {
		return nil
	}
	return &p.members[i]
}

// china is China's time zone. EBD writes its times in it, without the offset.
var china = time.FixedZone("CST", 8*60*60)

// chinaTime writes a time as EBD does; the zero time is "".
func chinaTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(china).Format(time.DateTime)
}

// parseChinaTime reads a time as EBD writes it; "" is the zero time.
func parseChinaTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateTime, strings.Replace(s, "T", " ", 1), china)
	return t.UTC(), err
}

// reader reads the elements of an EBD and collects its faults.
type reader struct {
	*report
	missing bool // a required element is missing
}

// need returns the text at a path, and reports a fault if there is none.
func (r *reader) need(n *node, path ...string) string {
	text := n.at(path...)
	if text == "" {
		r.missing = true
		r.bad("alert.ebd_missing", n.name+"/"+strings.Join(path, "/"))
	}
	return text
}

// time returns the time at a path, or the zero time if there is none.
func (r *reader) time(n *node, path ...string) time.Time {
	t, err := parseChinaTime(n.at(path...))
	if err != nil {
		r.bad("alert.ebd_time", n.name+"/"+strings.Join(path, "/"), printable(n.at(path...)))
	}
	return t
}

// number returns the number at a path, or fallback if there is none.
func (r *reader) number(n *node, fallback int, path ...string) int {
	text := n.at(path...)
	if text == "" {
		return fallback
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < 0 || v > 1<<30 {
		r.bad("alert.ebd_number", n.name+"/"+strings.Join(path, "/"), printable(text))
		return fallback
	}
	return v
}

// parseEBD reads the XML member of a package, and the other members; p is nil if there
// is only the XML.
func parseEBD(doc document, p *ebdPackage, o Options, r *report) (Message, error) {
	root := doc.root
	in := reader{report: r}
	m := Message{EBD: EBD{
		Version: root.at("EBDVersion"),
		ID:      in.need(root, "EBDID"),
		Type:    in.need(root, "EBDType"),
		From:    root.at("SRC", "EBRID"),
		FromURL: root.at("SRC", "URL"),
		To:      root.at("DEST", "EBRID"),
		Time:    in.time(root, "EBDTime"),
		Related: root.at("RelatedEBD", "EBDID"),
	}}
	m.Kind = Kind(m.EBD.Type)
	if in.need(root, "SRC", "EBRID"); m.EBD.Version != "" && m.EBD.Version != "1" && m.EBD.Version != "1.0" {
		r.warn("alert.ebd_version", printable(m.EBD.Version))
	}
	body := root.kid(m.EBD.Type)
	if m.EBD.Type != "" && body == nil {
		in.missing = true
		r.bad("alert.ebd_missing", "EBD/"+printable(m.EBD.Type))
	}
	if p != nil && m.EBD.ID != "" && p.body.name != "EBDB_"+m.EBD.ID+".xml" {
		r.warn("alert.ebd_name", printable(p.body.name), printable(m.EBD.ID))
	}
	if body != nil {
		in.content(body, p, &m)
	}
	in.names(&m)
	why := ErrInvalid
	if in.missing {
		why = ErrMissing
	}
	if err := r.err(why); err != nil {
		return Message{}, err
	}
	m.Alert.Signature = emergency.Signature{State: emergency.SignatureAbsent}
	if p != nil {
		in.signature(p, o, &m)
	}
	return m, nil
}

// names refuses a package with a name that is too long to refer to, and leaves out an
// address that is none.
func (r *reader) names(m *Message) {
	for _, name := range []struct{ where, is string }{
		{"EBD/EBDID", m.EBD.ID}, {"EBD/SRC/EBRID", m.EBD.From}, {"EBM/EBMID", string(m.Alert.ID)}, {"EBM/MsgBasicInfo/SenderCode", m.Alert.Sender},
		{"EBMStateRequest/EBM/EBMID", string(m.StateOf)},
	} {
		if len(name.is) > emergency.MaxName {
			r.bad("alert.long_name", name.where, len(name.is), emergency.MaxName)
		}
	}
	if len(m.EBD.FromURL) > maxURL {
		r.warn("alert.long_url", "EBD/SRC/URL", len(m.EBD.FromURL), maxURL)
		m.EBD.FromURL = ""
	}
}

// maxURL is the longest address of a sender, in bytes.
const maxURL = 2048

// content reads the body of a package, by the message's kind.
func (r *reader) content(body *node, p *ebdPackage, m *Message) {
	switch m.Kind {
	case KindEBM:
		r.ebm(body, p, m)
	case KindResponse:
		m.Result = Result{ResultCode(r.number(body, -1, "ResultCode")), body.at("ResultDesc")}
		r.need(body, "ResultCode")
	case KindStateRequest:
		// [D] has the message's ID inside an EBM; some senders leave the EBM out.
		m.StateOf = playlist.AlertID(cmp.Or(body.at("EBM", "EBMID"), body.at("EBMID")))
		if m.StateOf == "" {
			r.need(body, "EBM", "EBMID")
		}
	case KindStateResponse:
		m.State = r.state(body)
	case KindOMDRequest:
		m.OMD = OMD{
			Type: r.need(body, "OMDType"), From: r.time(body, "Params", "RptStartTime"),
			To: r.time(body, "Params", "RptEndTime"), ReportType: body.at("Params", "RptType"),
		}
	case KindHeartbeat:
		r.time(body, "RptTime")
	}
}

// signature verifies the signature of a package, if there is one.
func (r *reader) signature(p *ebdPackage, o Options, m *Message) {
	var signatures []member
	for _, s := range p.members {
		if strings.HasPrefix(s.name, "EBDS_") {
			signatures = append(signatures, s)
		}
	}
	switch len(signatures) {
	case 0:
	case 1:
		s := signatures[0]
		m.SignedMember = s.name
		if s.name != "EBDS_"+p.body.name {
			r.warn("alert.ebds_name", printable(s.name), printable(p.body.name))
		}
		m.Alert.Signature = checkEBDSignature(p.body.data, s.data, m.EBD.ID, o, r.report)
	default:
		m.Alert.Signature = emergency.Signature{State: emergency.SignatureBad, Why: "alert.ebds_many"}
	}
}

// fieldElements are elements that are used in practice and are in no draft.
var fieldElements = []string{"SysTask", "ProcessType", "BroadcastTime", "LinkTypeSel"}

// ebm reads an emergency message.
func (r *reader) ebm(n *node, p *ebdPackage, m *Message) {
	basic, content := n.kid("MsgBasicInfo"), n.kid("MsgContent")
	id := r.need(n, "EBMID")
	if basic == nil {
		r.need(n, "MsgBasicInfo")
		return
	}
	if n.at("EBMVersion") == "" {
		r.warn("alert.ebm_version")
	}
	for _, where := range []*node{n, basic, content} {
		for _, s := range fieldElements {
			if where.kid(s) != nil {
				r.warn("alert.ebm_stranger", where.name+"/"+s)
			}
		}
	}
	a := emergency.Alert{
		ID:         playlist.AlertID(id),
		Format:     "EBM",
		Identifier: id,
		Sender:     cmp.Or(basic.at("SenderCode"), m.EBD.From),
		SenderName: basic.at("SenderName"),
		EventCode:  basic.at("EventType"),
	}
	r.times(basic, &a)
	r.class(basic, &a, m)
	if ref := n.at("RelatedInfo", "EBMID"); ref != "" && ref != id {
		a.Refs = []playlist.AlertID{playlist.AlertID(ref)}
	} else if a.Kind == emergency.KindCancel {
		r.need(n, "RelatedInfo", "EBMID")
	}
	if a.Kind == emergency.KindRequest && len(a.Refs) > 0 {
		a.Kind = emergency.KindUpdate // [R]: a request that relates to an earlier one replaces it
	}
	r.areas(content, &a)
	if content != nil {
		title, text := content.at("MsgTitle"), content.at("MsgDesc")
		if title != "" || text != "" {
			a.Texts = []emergency.Text{{Language: languageTag(content.at("LanguageCode")), Title: title, Text: cmp.Or(text, title)}}
		}
		for i, aux := range content.all("Auxiliary") {
			r.auxiliary(aux, fmt.Sprintf("Auxiliary[%d]", i+1), p, &a, m)
		}
	}
	audible := func(s emergency.Audio) bool { return len(s.Data) > 0 || s.URI != "" }
	if a.Kind != emergency.KindCancel && len(a.Texts) == 0 && !slices.ContainsFunc(a.Audio, audible) {
		r.missing = true
		r.bad("alert.ebm_empty")
	}
	m.Alert = a
}

// times reads when a message was sent, and when it begins and ends.
func (r *reader) times(basic *node, a *emergency.Alert) {
	a.NotBefore, a.NotAfter = r.time(basic, "StartTime"), r.time(basic, "EndTime")
	switch {
	case basic.at("SentTime") != "":
		a.Sent = r.time(basic, "SentTime")
	case basic.at("SendTime") != "":
		a.Sent = r.time(basic, "SendTime")
		r.warn("alert.ebm_send_time")
	default:
		r.need(basic, "SentTime")
	}
	if a.NotBefore.IsZero() {
		a.NotBefore = a.Sent
	}
	if !a.NotAfter.IsZero() && a.NotAfter.Before(a.NotBefore) {
		r.bad("alert.ebm_ends", basic.at("EndTime"), basic.at("StartTime"))
	}
}

// class reads a message's kind, class and level from MsgType and Severity. If both say
// that it is a drill, the drill that is less audible counts.
//
// MsgType: 1 is a request, 2 a cancel [D]; 3, 4 and 5 are used in practice for drills
// of platform, front end and terminal. Severity: 0 is unknown, 1 to 4 are red to blue,
// 15 is a test [D]; 10 is used in practice for daily messages and 21 to 23 for drills.
// We assume that those are in the order of the broadcast protocol: system, simulated,
// actual [R].
func (r *reader) class(basic *node, a *emergency.Alert, m *Message) {
	drills := []emergency.Class{emergency.ClassDrillSystem, emergency.ClassDrillSimulated, emergency.ClassDrillActual}
	a.Kind, a.Class, a.Level = emergency.KindRequest, emergency.ClassEmergency, emergency.Blue
	drill := len(drills)
	switch kind := r.need(basic, "MsgType"); kind {
	case "", "1":
	case "2":
		a.Kind = emergency.KindCancel
	case "3", "4", "5":
		drill = int(kind[0] - '3')
		r.note("alert.ebm_drill", "MsgType", kind)
	default:
		r.bad("alert.ebm_type", printable(kind))
	}
	switch severity := r.number(basic, -1, "Severity"); severity {
	case 1, 2, 3, 4:
		a.Level = emergency.Level(severity)
	case 0:
	case 10:
		a.Class = emergency.ClassDaily
	case 15:
		a.Class = emergency.ClassTest
	case 21, 22, 23:
		drill = min(drill, severity-21)
		r.note("alert.ebm_drill", "Severity", strconv.Itoa(severity))
	default:
		if a.Kind != emergency.KindCancel {
			r.warn("alert.ebm_severity", printable(basic.at("Severity")))
		}
	}
	if drill < len(drills) && a.Class != emergency.ClassTest {
		a.Class = drills[drill]
	}
	switch a.Class {
	case emergency.ClassTest:
		m.Silent = say.M("alert.silent_test")
	case emergency.ClassDrillSystem:
		m.Silent = say.M("alert.silent_system")
	}
}

// areas reads the list of area codes, which are separated by commas. A code that is
// not valid is kept in Elsewhere, with a warning: an alert with such codes only is for
// no area, not for all.
func (r *reader) areas(content *node, a *emergency.Alert) {
	text := content.at("AreaCode")
	seen := map[string]bool{}
	for _, f := range strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(",，;； \n\t", c) }) {
		code := f
		if len(f) == 6 || len(f) == 9 {
			code += strings.Repeat("0", 12-len(f))
		}
		area, err := playlist.ParseArea(code)
		if err != nil {
			r.warn("alert.ebm_area", printable(f))
			if p := printable(f); first(seen, "elsewhere", p) {
				a.Elsewhere = append(a.Elsewhere, p)
			}
			continue
		}
		if first(seen, "area", code) {
			a.Areas = append(a.Areas, area)
		}
	}
	if text == "" && a.Kind != emergency.KindCancel {
		r.missing = true
		r.bad("alert.ebd_missing", "MsgContent/AreaCode")
	}
}

// maxAreas is the largest number of areas of a Coverage.
const maxAreas = 10_000

// languageTag converts a language code, of ISO 639-2 in the draft [D], to BCP 47.
func languageTag(code string) string {
	switch strings.ToLower(code) {
	case "", "zho", "chi", "zh", "cn", "chn":
		return "zh"
	case "eng", "en":
		return "en"
	}
	return strings.ToLower(printable(code))
}

// auxiliary reads one Auxiliary element: a sound that is a member of the package, or a
// stream.
func (r *reader) auxiliary(n *node, where string, p *ebdPackage, a *emergency.Alert, m *Message) {
	name := n.at("AuxiliaryDesc")
	s := emergency.Audio{Name: name, Digest: n.at("Digest")}
	switch kind := n.at("AuxiliaryType"); kind {
	case "1", "2":
		s.MediaType = "audio/mpeg"
	case "3":
		s.MediaType = "audio/wav"
	case "61":
		s.MediaType, s.URI = "application/octet-stream", name
		if name != "" && len(a.Audio) < MaxMembers {
			a.Audio = append(a.Audio, s)
		}
		return
	case "":
		if s.MediaType = mediaOf(name); s.MediaType == "" {
			return
		}
	default:
		r.note("alert.ebm_auxiliary", where, printable(kind))
		return
	}
	if name == "" || len(a.Audio) == MaxMembers {
		return
	}
	file := p.find(baseName(name))
	if file == nil {
		file = p.find("EBDR_" + baseName(name))
	}
	switch {
	case file == nil && strings.Contains(name, "://"):
		s.URI = name
	case file == nil:
		m.Unsupplied = append(m.Unsupplied, name)
		r.warn("alert.ebm_member", where, printable(name))
	default:
		s = withData(s, file.data, "", where, r.report)
	}
	a.Audio = append(a.Audio, s)
}

// state reads the body of an EBMStateResponse.
func (r *reader) state(n *node) State {
	s := State{
		EBM: playlist.AlertID(r.need(n, "EBM", "EBMID")), At: r.time(n, "RptTime"),
		Code: BrdState(r.number(n, 0, "BrdStateCode")), Desc: n.at("BrdStateDesc"),
	}
	r.need(n, "BrdStateCode")
	if c := n.kid("Coverage"); c != nil {
		s.Coverage = r.coverage(c)
	}
	for _, item := range n.kid("ResBrdInfo").all("ResBrdItem") {
		// An item may hold several devices.
		for _, d := range item.all("EBRBS") {
			s.Items = append(s.Items, StateItem{
				Platform: item.at("EBRPS", "EBRID"), Station: item.at("EBRST", "EBRID"), Adapter: item.at("EBRAS", "EBRID"),
				Device: d.at("BrdSysInfo"), At: r.time(d, "RptTime"), Start: r.time(d, "StartTime"), End: r.time(d, "EndTime"),
				File: d.at("FileURL"), Code: BrdState(r.number(d, 0, "BrdStateCode")), Desc: d.at("BrdStateDesc"),
			})
		}
	}
	return s
}

// coverage reads a Coverage element. Senders write CoverageRate as a share of 1 or in
// percent; it is in percent if it is above 1 or ends in a percent sign.
func (r *reader) coverage(n *node) *Coverage {
	var c Coverage
	text, percent := strings.CutSuffix(n.at("CoverageRate"), "%")
	rate, err := number(text)
	if percent || rate > 1 {
		rate /= 100
	}
	if err != nil || rate < 0 || rate > 1 {
		r.bad("alert.ebd_number", "Coverage/CoverageRate", printable(n.at("CoverageRate")))
		return nil
	}
	c.Rate = rate
	for _, f := range strings.Split(n.at("AreaCode"), ",") {
		if area, err := playlist.ParseArea(f); err == nil && len(c.Areas) < maxAreas {
			c.Areas = append(c.Areas, area)
		}
	}
	if stat := n.at("ResBrdStat"); stat != "" {
		parts := strings.Split(stat, ",")
		if len(parts) != len(c.Stat) {
			r.bad("alert.ebd_number", "Coverage/ResBrdStat", printable(stat))
			return nil
		}
		for i, part := range parts {
			v, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil || v < 0 {
				r.bad("alert.ebd_number", "Coverage/ResBrdStat", printable(stat))
				return nil
			}
			c.Stat[i] = v
		}
	}
	return &c
}
