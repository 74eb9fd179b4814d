package ingest

// DecodeText returns the text of a file in UTF-8, in UTF-16 with a byte order mark or
// in GBK; it is empty if the bytes are none of these.
func DecodeText(raw []byte) string { return decodeText(raw, "") }
