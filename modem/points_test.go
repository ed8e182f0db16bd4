package modem

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
)

// What a modem that needs no hand promises, point by point, and where it is
// proven. A test that is renamed or lost is missed here.
var proven = []struct {
	point string
	tests []string
}{
	{"1 discovery: found by itself, the right port, what is held or in the wrong mode is explained", []string{
		"usb/TestFamilies", "usb/TestWhatIsNoModemIsLeftAlone", "usb/TestUselessSticksAreExplained", "TestPortInUse", "TestPortHeldByAnother", "TestPortsThatDoNotOpenSayWhy"}},
	{"2 identity: a modem is its IMEI, its SIM the ICCID, wherever they are plugged in", []string{
		"TestFoundByItsIMEI", "TestAnotherSIMIsAnotherIdentity", "soak/TestFourModemsUnderFaults"}},
	{"3 profiles as data, each with a transcript", []string{"TestProfileOf", "TestProfilesAreWhole", "TestTranscripts"}},
	{"4 SIM: a PIN is tried once ever, the last attempt never; PUK, missing, refused, locked in words", []string{
		"TestWrongPINIsTriedOnceOverTenRestarts", "TestWrongPINFollowsTheSIM", "TestPINIsWrittenDownBeforeItIsTried", "TestMayTry", "TestLockedSIMsSayWhatIsNeeded"}},
	{"5 sending: phases known, late answers recognised, errors classified by the tables, texts too", []string{
		"TestModemThatFails", "TestLateAnswerIsToldForItsMessage", "TestLateAnswerOutlivesTheConnection", "TestVerdictOfEveryCode", "at/TestPhases"}},
	{"6 unknown is resolved, not guessed: by the report that fits, by a memory that was tested", []string{
		"TestReadingOfAReport", "TestLostMessageIsSettledByItsReport", "TestStrangeReportSettlesNothing",
		"TestMemoryIsBelievedOnlyAfterItsTest", "TestLostMessageIsSettledByTheMemory", "TestPlaceIsWrittenDownBeforeTheMessageLeaves", "TestMemoryIsNotUsedUnasked"}},
	{"7 reports and inbound: pushed or stored, drained after the commit, every place accounted for", []string{
		"TestReportsArePushedOrStored", "TestInboundIsDrainedAfterTheCommit", "TestWhatTheStoreRefusesStaysOnTheSIM", "TestStorageIsWatched", "TestReportsOfAnOddNetwork"}},
	{"8 recovery: fixed rungs, each logged, counted and shown; nobody else waits", []string{
		"TestLadderOrder", "TestLadderRecord", "TestLadderRests", "TestLadderReachesWhatNoCommandDoes", "TestLadderRestsAndTriesAgain", "TestLadderRungThatFails", "TestLadderHoldsNobodyElseUp"}},
	{"9 pace: the identity is published, gaps are the profile's, the link is kept up where more follows", []string{
		"TestSendsAndReports", "TestGapsOfTheProfile", "TestLinkIsKeptUp"}},
	{"10 USSD, balance, calls, the network's clock, the LTE doctor, the self-test", []string{
		"TestUSSD", "TestUSSDAnswers", "TestBalance", "TestBalanceIsAskedWhenSendingIsRefused", "TestAmountsInAnswers", "TestIncomingCall",
		"TestClockFromTheNetwork", "TestLTEDoctor", "TestRefusalsComeWithAnExamination", "TestLoopIsTimed", "TestLoopThatDriftsIsTold"}},
	{"11 the simulator plays it all, line by line", []string{
		"sim/TestFault_stuck", "sim/TestFault_flip", "sim/TestFault_call_rings_until_it_is_refused", "sim/TestFault_LTE_without_IMS", "sim/TestFault_drafts", "sim/TestFault_clock"}},
}

func TestEveryPointIsProven(t *testing.T) {
	source := map[string]string{} // of the tests of a folder
	for _, p := range proven {
		for _, name := range p.tests {
			dir, fn := filepath.Split(name)
			if _, read := source[dir]; !read {
				source[dir] = testsIn(t, dir)
			}
			if !strings.Contains(source[dir], "\nfunc "+fn+"(t *testing.T) {") {
				t.Errorf("%s: %s is not there", p.point, name)
			}
		}
	}
}

func testsIn(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(".", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// While one modem is on the last of its rungs, which takes a minute, another
// one carries on as ever.
func TestLadderHoldsNobodyElseUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := plug(t, setUp{peer: sim.Identity(5)})
		ill, _ := stubborn(t, "stuck until power", sim.Config{})
		ill.until("silent", code("modem_silent"))
		for range 30 {
			since := time.Now()
			other.mustSend("m")
			if d := time.Since(since); d > 0 {
				t.Errorf("a message of the other modem waited %v", d)
			}
			time.Sleep(2 * time.Second)
			if s := other.sink.last(); s.State != route.Ready {
				t.Errorf("the other modem is %s %s", s.State, s.Code)
			}
		}
		ill.mustSend("after")
	})
}
