package sim

import "strings"

// fate is what the network does with a SUBMIT.
type fate struct {
	suffix string // of the recipient's number
	cause  int    // refused with this RP or FCS cause (TS 24.011 §E.2, TS 23.040 §9.2.3.22)
	once   bool   // only the first time for that number
	lost   bool   // dies on the air: no answer, and the cell never has it
	late   bool   // the cell has it at once, the answer comes after CellConfig.Late
	mute   bool   // no status report
	status byte   // TP-ST of the report (TS 23.040 §9.2.3.15)
}

// magic are the recipients that mean something, by the last four digits.
var magic = []fate{
	{suffix: "0001", cause: 41, once: true}, // temporary failure
	{suffix: "0002", cause: 196},            // destination SME barred: about this number and nothing else
	{suffix: "0003", lost: true},
	{suffix: "0004", late: true},
	{suffix: "0005", mute: true},
	{suffix: "0006", status: 0x43}, // not obtainable, the SC gives up
}

// magicFate finds the fate of a recipient; the zero fate is sent and delivered.
func magicFate(to string) fate {
	for _, f := range magic {
		if strings.HasSuffix(to, f.suffix) {
			return f
		}
	}
	return fate{}
}
