<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="en_US" sourcelanguage="en_US">
    <context>
        <name>MetalArtifactReduction</name>
        <message>
            <source>Metal Artifact Reduction</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Removes the streaks and shadows of screws, rods and cages from a spine CT. Choose the CT and click &lt;b&gt;Correct artifacts&lt;/b&gt;; the input is never changed. Not for primary diagnosis: always look at the original, too.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Research software. No data leave this computer.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Correct the input volume in the background (shortcut Ctrl+Return).</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Preparing...</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Cancelled; nothing was changed.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Stopping...</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{stage}: {done} of {total} slices</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>, {time} left</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Install now</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Install these packages into this Slicer; it asks once more before it does.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Volumes</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Input volume:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The spine CT to correct: the original axial series, in Hounsfield units.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>(choose a CT)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show what counts as &amp;metal</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Colours in the slice views what will be taken for metal (shortcut M).</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Earlier CT (optional):</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The same patient's CT from before the operation: its detail fills the lost rays where it agrees with the measured ones. Offered are volumes without metal, where DICOM tells only those of this patient.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>What will run; everything can be changed below.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Metal and method</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Where the metal comes from, and how the lost rays are filled in.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Metal from:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Automatic finds metal by its core and leaves out enamel, dense bone and contrast. A threshold, a segment, or the implants that the planner found or placed in this CT override it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Threshold:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Everything in the body at or above this value counts as metal. 2000 to 3000 HU suits most scans.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source> HU</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>color: #b45309; font-weight: bold;</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Segment:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>A segment that holds the metal; it is resampled to the input volume where needed.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Method:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>How the X-rays that met metal are filled in.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Device:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Where the model runs. Automatic takes CUDA where there is an NVIDIA card, else the CPU.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Model:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The model that fills in the lost rays.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>SHA-256 of the model's files; it goes into every result.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>&amp;Import model...</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Add a model from its manifest.json and the files beside it, for machines without a network.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Choose an input volume first.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>&amp;Correct artifacts</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Progress of the stage that is running.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Cancel</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Stop within two seconds; nothing is left behind (shortcut Esc).</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Result</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>What made the result that is shown.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Result:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The corrected volume that is shown, compared and sent. Every correction makes a new one, named by its method; nothing is overwritten.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>(nothing corrected yet)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Compare with:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The input, or another result of the same input.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show where &amp;not to read</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Colours the corrected volume red by how far its values may be off: from 100 HU on, fullest from 300 HU on.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show where the earlier CT was &amp;believed</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Colours the corrected volume green by how far its detail comes from the earlier CT.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Com&amp;pare</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Before, after and difference beside each other, in linked views.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Be&amp;fore/After</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Swap before and after in place, in every view (shortcut B).</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>B&amp;one window</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Level 500 HU, window 2000 HU, for all volumes compared.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Soft &amp;tissue window</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Level 40 HU, window 400 HU, for all volumes compared.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Metal &amp;outline in the views</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The outline of the metal as it was put back, over its own scan only.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Compare when done</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Switches to the compare layout when a correction is done.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>What was done in each slice with metal, and why. A click goes there.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Send to study as &amp;DICOM</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Write the result as a derived series of the input's study. The source files are never changed.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Quality in regions</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Draw regions of one tissue; HU, noise and streaks are compared before and after. Voxels above 2500 HU are left out.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>&amp;Add region</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Then click two opposite corners in a slice view.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Mean and standard deviation in HU, and half the 5-95 % span after smoothing (streaks).</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Batch</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>From folder:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Volumes and DICOM series in this folder and below are corrected with the settings above.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>To folder:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Results, their facts and summary.csv go here. What is done already is not done again.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>&amp;Run batch</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Correct all of them in the background.</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>SpineImplantPlanner</name>
        <message>
            <source>Undo</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Take the last step back. Shortcut Ctrl+Z.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Redo</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Do it again. Shortcut Ctrl+Y.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Cancel</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Stop what runs in the background. Shortcut Esc.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>1. CT and spine</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>CT:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The spine CT to plan in, without metal, in Hounsfield units.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>(choose a CT)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Segmentation:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>A segmentation of the vertebrae: of this module, of TotalSegmentator, or any other whose segments are named T12, L1 and so on.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>(none yet)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Segment the spine</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Find canal, vertebrae, levels and pedicles in the CT, in the background.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Use this segmentation</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Fit vertebrae and pedicles to the chosen segmentation, in the background. Of a segmentation that is in use already, only what was edited is fitted again.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>TotalSegmentator</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Run TotalSegmentator on this CT in its own module, and come back with its vertebrae.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show 3D</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show the vertebrae, translucent, in the 3-D view, and look at them from behind.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The vertebrae found. Click one to see it. Below 50 % confidence look before you trust.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Segment Editor</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Correct the vertebra of the chosen row by hand. A button on top of the editor leads back, and only what was edited is fitted again.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Segment again</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Segment the level beside this button again, or for the first time: click into the middle of its body in any slice view. All others stay.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Level to segment again, or the true level of the chosen vertebra, from which all are counted.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Rename levels</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Rename all vertebrae and the implants in them: the vertebra of the chosen row gets the level beside this button.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>2. Levels and screws</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Plan:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>What is planned: the whole construct, one level, or one pedicle alone.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Levels:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Uppermost level of the construct.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Lowermost level of the construct.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Level to plan; that of the selected screw, or of the row chosen in step 1, until you choose another.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The patient's side of the pedicle to plan.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Screw:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Screw of the catalogue for new screws and automatic plans.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Material:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Material of new screws.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Trajectory:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Along the pedicle, or cortical bone trajectory (T11 to L5).</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Bicortical screws in S1</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Automatic screws of S1 pass the cortex at the promontory by about a millimetre; otherwise they end behind it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Screws into the ilium:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Automatic plans of a construct add a screw on both sides: S2-alar-iliac, or iliac from the posterior superior spine. They need a CT that shows the pelvis.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Plan automatically (P)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Plan screws, rods and grades, in the background. Locked screws stay. Shortcut P.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Place a screw with two clicks in any view: its entry, then its target. Shortcut N.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Click entry, target (N)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>One row a screw. Click a row to select it; drag its ends or its shaft in the views. Shortcuts , and . for the one before and the next.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Diameter, mm:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Diameter of the selected screw, mm. Shortcuts [ and ].</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Length, mm:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Length of the selected screw, mm. Shortcuts - and =.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Model:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Model of the selected screw.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Convergence, °:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Angle in the vertebra's axial plane, positive towards the midline; the entry stays.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Cranial angle, °:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Angle out of the vertebra's axial plane, positive towards the head; the entry stays.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>In its pedicle:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Entry and tip, RAS mm</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Entry R:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Entry point, to the patient's right, mm.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Entry A:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Entry point, forwards, mm.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Entry S:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Entry point, upwards, mm.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Tip R:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Tip, to the patient's right, mm; the length stays.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Tip A:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Tip, forwards, mm; the length stays.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Tip S:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Tip, upwards, mm; the length stays.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Mirror</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Put the selected screw on the other side as well, across the vertebra's own mid-sagittal plane. Shortcut M.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Swap sizes</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Swap the sizes of the two screws of this level.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Lock</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Lock the selected screw against every change, or unlock it. Shortcut L.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Delete</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Delete the selected screw. Shortcut Delete.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Probe view (V)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Cut the slice views along and across the selected screw. Shortcut V.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show the HU along the selected screw beside the slices. Shortcut H.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>HU plot (H)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Standard views</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Back to axial, sagittal and coronal.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Depth, mm:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Step along the selected screw, from entry to tip. Shortcuts Up and Down with Ctrl.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Turn, °:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Turn the two planes along the screw about it. Shortcuts Left and Right with Ctrl.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>3. Rods, crosslinks, cages</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Rod:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Rod of the catalogue: how sharply it may be bent and how long it is sold.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Diameter of the rods, mm.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Material of the rods.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Contour both rods</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Bend a rod through the tulips of either side; heads turn to meet it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Remove rods</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Remove rods and crosslinks.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Add crosslink</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Join the rods where there is most room.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Rods follow moved screws</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Contour the rod of a side anew whenever one of its screws changes. A rod that you shaped by hand stays if you lock it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Shown:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The rod below.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Rod view</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Cut the slice views along and across the rod. Shortcut Shift+V.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Lock rod</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Keep the rod's shape whatever the screws do.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>How to bend a straight rod: where from its upper end, by how much, which way.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Along, %:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Step along the rod in the rod view.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Disc:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Disc that gets a cage.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Cage:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Cage of the catalogue.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Place cage</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Place the catalogue's best fitting cage midway between the endplates.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Cement, hooks, wires</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Implant:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>What is placed. None of it is graded; hooks and wires lie in the spinal canal, under the lamina.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Vertebra:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The vertebra that it is placed in.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Side:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The side of the lamina.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Volume, ml:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>How much cement.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Place</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Place it: cement in the middle of the body, a hook at the edge of the lamina, a wire around it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Placed:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Cages, crosslinks and the like of the plan.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Remove</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Remove this implant.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>4. Check</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Check for collisions</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Look for screws, tulips, rods and joints that touch; they turn red.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>What touches what must not. Click to see it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Alignment</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Angles between endplates as the CT shows them, now and with the planned cages: a cage gives its disc its own lordosis and height.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show the endplates in the views</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Draw the endplates that the angles lie between, in slices and in 3-D, with the angles beside them.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Keep as A</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Keep the present plan as plan A to compare with.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Compare with A</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>List how far entries and tips lie from those of plan A, follow every change, and show plan A as a violet shadow.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Swap A and B</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show plan A; the present plan becomes A.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Present plan (B) against plan A: distances of entries and tips, angle, sizes.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Lock the whole plan</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Nothing in the plan can be changed until it is unlocked.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Notes that go with the plan into files and the report.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Notes</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>5. Export</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Export to:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Folder for exported files. File names hold nothing of the patient by default.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>File name:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>spine_plan</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Beginning of the files' names.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>JSON, CSV</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Plan and table of screws.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>STL</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>A surface per implant, and all in one.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>VTK</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>A surface per implant in VTK's format.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Report</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>HTML report with pictures of every screw.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Scene</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The whole scene as .mrb. It holds the CT with what it says about the patient.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>DICOM</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The simulated scan as a derived series of the CT's study. It holds what the CT says about the patient.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>DICOM SEG</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The implants as a DICOM Segmentation, a named segment for each. Of a CT from DICOM it holds what the CT says about the patient.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Patient's data in report</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Print name, number and birth date of the patient on every page of the report; else there are lines to write on.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Export</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Write what is ticked into a new folder below the one above.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Open report</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Open the last report in the browser.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Import plan...</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Load a plan file into this CT.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>6. Simulated scan, data sets</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Scanner</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Voltage, kV:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Tube voltage of the simulated scan.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Photons per ray:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Photons per ray: fewer are noisier.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Kernel:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Reconstruction kernel.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Implants as voxels</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Put the implants' voxels into the scene: a segmentation, and volumes of their fractions.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Preview slices</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Scan the slice of the red view with the implants, in a few seconds.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Scan the whole CT</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Scan the whole CT with the implants in the background; the truth without them comes with it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Scan:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Simulated scans of the scene.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Correct artifacts</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Hand this scan to Metal Artifact Reduction and correct it there.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Pairs with and without metal, for training.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Training pairs</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Pairs:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Number of pairs in the end.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Seed:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The same seed gives the same pairs.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Placement:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Where metal lies: as surgeons place it, anywhere, or a mix of both.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Realistic, share:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Share of realistic placements in a mix.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Anatomy varies, mm:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Standard deviation of the smooth deformation of the patient.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>1e5</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Fewest photons per ray.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>2e6</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Most photons per ray.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Slices, mm:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Thinnest slices that are simulated.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Thickest slices that are simulated.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Bone density:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Lowest factor on the density of bone.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source> x</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Highest factor on the density of bone.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Image size, pixels:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Rows and columns of the stored images.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Workers:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Processes on this computer.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Scheduler:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Address of a running Dask scheduler; empty for this computer.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Dask scheduler (optional)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Store:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Folder of the data set. An unfinished one is gone on with.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Make pairs</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Make the pairs in the background; when stopped, the same button goes on.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show contact sheet</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Open the pictures of pairs spread over the store.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>After the operation</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Grade in bone of:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Metal hides the bone beside it: an earlier CT of the same patient without metal makes grades surer. Volumes of this scene that can be it are listed.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Compare with:</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The operation's plan, made on the earlier CT: each screw says how far its entry and tip lie from it, vertebra by vertebra.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Find implants in this CT</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Correct the CT of step 1, find the screws and rods that lie in it, and grade the screws. They replace the plan, which can be undone.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Nothing in the CT tells which vertebrae these are. Which one does the uppermost screw lie in?</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Vertebra of the uppermost screw; all others are counted from it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Name levels</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Rename all vertebrae and the implants in them; the level that stands there already is confirmed.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Screws that lie as they were found: bone before the tip (negative: the tip is beyond it), gap to the nearer endplate, how deep the joint above is entered, and how far the screw is from the operation's plan. A click chooses the screw.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Spine Implant Planner</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Plans pedicle screws, rods and cages in a spine CT, puts the metal into the CT, and simulates the scan. Six steps, each of which can be used alone; after an operation the implants are found in the CT. For research: a plan is no instruction for an operation.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Research software. No data leave this computer.</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>after.foundscrews</name>
        <message>
            <source>Screw</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Grade</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Before tip, mm</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Endplate, mm</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Facet, mm</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Entry, mm</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Tip, mm</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Angle, °</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{screws} screws and {rods} rods were found.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Planned, not found: {names}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Found, not planned: {names}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Crosslinks: {links}, cages: {cages}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{count} are not gradable: their rows say why.</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>after.operationplan</name>
        <message>
            <source>no plan</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>a file...</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The operation's plan</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Plans (*.json)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>plan A</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>the present plan</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>choices.settings</name>
        <message>
            <source>Automatic (recommended)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Learned</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>NMAR</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Linear interpolation</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The learned method where a model is installed, else NMAR.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Networks trained on spine implants fill in the lost rays.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Classical: lost rays follow a tissue model of the patient.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Classical and simple: lost rays are bridged by straight lines.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Automatic</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>CUDA (NVIDIA)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>CPU</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Threshold</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Segment</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Implants of the planner</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>choices.summary</name>
        <message>
            <source>Metal found automatically</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Metal from the implants that the planner has in this CT</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Metal from a segment, which is not chosen yet</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Metal from {hu} HU on</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Metal from the segment {name}</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>nodes.earlier</name>
        <message>
            <source>laid over: {levels}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>as given: {levels}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>moved with its neighbours: {levels}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>believed to {percent} % where it was used</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Earlier CT {parts}; {believed}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>laid over as a whole</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>others.detour</name>
        <message>
            <source>Return, and take over what you changed.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Back to Spine Implant Planner</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>others.totalsegmentator</name>
        <message>
            <source>This version of TotalSegmentator cannot be started from here.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Click Apply in its panel, then the button above it that leads back.</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>outcome.quality</name>
        <message>
            <source>Region</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Mean HU</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>SD HU</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Streaks HU</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Correct a volume first.</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>outcome.result</name>
        <message>
            <source>Nothing is corrected yet: click Correct artifacts.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Showing {name}</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>outcome.slicetable</name>
        <message>
            <source>▲ left as scanned</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Slice</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>What was done</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Why</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{share} % corrected</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Metal {width} mm wide; changed by {change} HU</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>outcome.viewtexts</name>
        <message>
            <source>Slice {number}: {done}; metal {width} mm wide</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>left as scanned</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>After less before
white: brighter after; black: darker</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Slice {number}: no metal, not touched</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{share} % corrected</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>panel.batch</name>
        <message>
            <source>Cancel batch</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>&amp;Run batch</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{parts}. Summary: {path}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Looking for volumes...</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{done} of {total} volumes</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Batch</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>No folders are chosen.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Choose both folders first.</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>panel.earlier</name>
        <message>
            <source>(none)</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>panel.firstrun</name>
        <message>
            <source>First run: {packages} will be installed into this Slicer, once, after you have agreed. The download goes to the Python package index; no image leaves this computer. Correct artifacts asks for the same.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Install packages</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>panel.metal</name>
        <message>
            <source>Looking for metal...</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>No metal is found.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{volume} cm³ count as metal.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{hu} HU also takes {volume} cm³ away from the metal, most likely bone.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>From {hu} HU on it does not.</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>panel.model</name>
        <message>
            <source>Import model</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Without a model, NMAR and linear interpolation can be used.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>(none installed)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>SHA-256 {hash}</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>panel.packages</name>
        <message>
            <source>SpineMAR needs these Python packages: {names}. Install them now?</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>declined</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>panel.planviews</name>
        <message>
            <source>{name}, along, {plane}{turned}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Select a screw first.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>, turned {degrees:.0f}°</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>sagittal</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>axial</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{name}, across, {depth:.0f} mm from upper end</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>coronal</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{name}, across, {depth:.0f} mm from entry</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>panel.runner</name>
        <message>
            <source>Preparing...</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Cancelled; nothing was changed.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Stopping...</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Something still runs in the background: wait for it, or cancel it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Done.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{stage}: {done} of {total}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>, about {seconds} s left</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>panel.samples</name>
        <message>
            <source>Spine CT with implants</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Getting the sample CT and scanning it with implants...</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Spine CT to plan in</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Getting the sample CT...</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>panel.study</name>
        <message>
            <source>Send to study as DICOM</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The input was not loaded from DICOM, so it belongs to no study: save the result as NRRD or NIfTI.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{count} images were written as a new series of the study:
{folder}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Writing the series...</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Into the database: {done} of {total}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>DICOM series</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Writing the series: {done} of {total}</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>panel.translations</name>
        <message>
            <source>left</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>right</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>medial</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>lateral</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>superior</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>inferior</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>anterior</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>posterior</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>screws</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>rods</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>cages</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>crosslinks</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>cements</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>hooks</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>wires</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>imported surfaces</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>not graded</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{letter} (level not confirmed)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{letter} of unconfirmed level</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{letter}: {mm} mm in the canal, medial</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{letter}: {mm} mm {direction}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>certain</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>between {best} and {worst}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Heary {name}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{mm} mm from the greater sciatic notch</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{mm} mm from the hip joint</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>on the earlier CT</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>on the labels</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>estimated on the corrected CT</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>qSlicerAbstractCoreModule</name>
        <message>
            <source>Filtering</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Planning</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>steps.afteroperation</name>
        <message>
            <source>Choose the CT after the operation in step 1.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Unlock the plan in step 4.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Wait for what runs, or cancel it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>There are no vertebrae in step 1: choose other bone.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>this CT, segmented once corrected</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>vertebrae of step 1</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>earlier CT: {name}</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>steps.automatic</name>
        <message>
            <source>construct</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>level</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>pedicle</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>none</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Segment the spine in step 1 to plan.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Unlock the plan in step 4.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Wait for what runs, or cancel it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Choose a CT in step 1.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Plan automatically</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>steps.check</name>
        <message>
            <source>Keep a plan as A to compare with it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The plan is locked.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Segment the spine first.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Kept as plan A.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Collision</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Screw</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Entry, mm</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Tip, mm</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Angle, °</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Diameter, mm</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Length, mm</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Angle</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Now, °</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>With cages, °</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{dangers}{implants}. Grades: {grades}. {warnings}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>only in A</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>only in B</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>no implants</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Lying in the scanner, in lateral and frontal projection. {doubt}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>mean</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show plan A</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>No curve of this spine is seen as a whole.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Nothing touches.</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>steps.export</name>
        <message>
            <source>In the spinal canal:

{screws}

Export this plan all the same?</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Import a plan</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Plans (*.json)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{count} files in {folder}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Most of this plan lies outside the CT: it was made in another scan's coordinates. Register the two scans first, or load it where it is?</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Import plan</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>DICOM needs a simulated scan of a CT from DICOM.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The patient's data are known only of a CT from DICOM.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>No report was written yet.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Report: {page}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>This plan's screws do not lie where the vertebrae of this CT are. Was it made in another scan? Load it all the same?</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Plan an implant first.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Wait for what runs, or cancel it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Choose the CT in step 1.</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>steps.pairs</name>
        <message>
            <source>Go on</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Make pairs</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Choose a CT in step 1.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Wait for what runs, or cancel it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The contact sheet comes with the first pairs.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{pairs} pairs, {now} of them made now.</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>steps.rods</name>
        <message>
            <source>A rod needs two screws or hooks.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Contour rods first.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>A crosslink needs two rods.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Segment the spine in step 1.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>No cage or crosslink is placed.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>No rods yet.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Unlock rod</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Lock rod</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>From top, mm</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Bend, °</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Towards</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>cement</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>hook, blade up</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>hook, blade down</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>wire</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>hook at the pedicle</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>lateral mass screw, Magerl</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>lateral mass screw, Roy-Camille</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Contour rods</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Add crosslink</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Remove rods</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>steps.scan</name>
        <message>
            <source>Wait for what runs, or cancel it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Scan the whole CT first.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The module Metal Artifact Reduction is not loaded.

Install the whole extension SpineMAR, or add its folder to the module paths.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>no scan yet</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{count} slices in {seconds:.1f} s.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Choose a CT in step 1.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Plan an implant first.</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>steps.screws</name>
        <message>
            <source>Select a screw to change it: click its row.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The plan is locked: unlock it in step 4.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>This screw is locked.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Angles and pedicle need the screw's vertebra.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Click a row, or a screw's handle in a view, to select it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Unlock</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Lock</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Click the entry, then the target; right-click gives up.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Screw</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Grade</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Size, mm</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>HU mean, least</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>locked</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>&lt;b&gt;{name}&lt;/b&gt;: {grade}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>, {margin:.1f} mm of bone at the least</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>; HU {mean:.0f} (pedicle {pedicle:.0f}, body {body:.0f})</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Swap sizes</source>
            <translation type="unfinished" />
        </message>
    </context>
    <context>
        <name>steps.spine</name>
        <message>
            <source>Wait for what runs, or cancel it.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Choose a CT first.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Segment the spine first.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Unlock the plan in step 4.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Level</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Confidence</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Pedicles, mm</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Remark</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{count} vertebrae: {first} to {last}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>This Slicer has no Segment Editor.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The segmentation was not changed.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Click into the middle of the body of {level}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Choose a segmentation above to use it.</source>
            <translation type="unfinished" />
        </message>
    </context>
</TS>
