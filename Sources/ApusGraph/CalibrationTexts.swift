/// Texts whose tokens say what the linear layers of an encoder see, for rounding weights to 8 bits when a model is loaded: of many kinds, from
/// titles to paragraphs, and none of those by which the accuracy of a precision is measured.
enum CalibrationTexts {
    static let all = [
        "Command-line tool that compares two directory trees",
        "Development files for the image processing library",
        "Bindings of the message queue for Python 3",
        "Lightweight window manager with tiling support",
        "Documentation and examples of the numerical solver",
        "French dictionary for spell checkers",
        "Transitional package, which can safely be removed",
        "Minimal web server written in Rust",
        "Tools to convert bibliographies between formats",
        "Fonts for mathematical typesetting",
        "Perl module to parse dates in many languages",
        "Real-time strategy game in ancient times",
        "Debugging symbols of the audio codec",
        "Shared library of the XML parser",
        "GTK+ frontend of the network monitor",
        "Cheap flights to Lisbon in May",
        "Best way to remove coffee stains from a white shirt?",
        "why does my cat follow me everywhere",
        "SELECT name, count(*) FROM orders GROUP BY name HAVING count(*) > 3;",
        "def mean(values): return sum(values) / len(values) if values else None",
        "Segmentation fault (core dumped) while reading the configuration file",
        "Quarterly revenue grew by 12 percent to $4.3 billion, ahead of what analysts had expected.",
        "La capitale de l'Australie n'est pas Sydney, mais Canberra.",
        "Die Sitzung wurde auf Donnerstag, den 14. Oktober, verschoben.",
        "El tren de alta velocidad tarda dos horas y media en llegar a Sevilla.",
        "Il museo è chiuso il lunedì.",
        "Поезд отправляется в семь часов утра.",
        "今日は天気がいいので、公園を散歩しました。",
        "The defendant's motion to dismiss was denied, and the case will proceed to trial in the spring.",
        "Take one tablet twice a day with food; do not drive if you feel drowsy.",
        "Scientists have found water vapour in the atmosphere of a planet that circles a red dwarf 124 light years away.",
        "Two eggs, a cup of flour, half a cup of milk, a pinch of salt: whisk until smooth and bake for forty minutes at 180 degrees.",
        "The band released their third album in 1997; it sold over two million copies and won an award for the best recording.",
        "My order arrived damaged and nobody answers the phone. I would like my money back, or a replacement by the end of the week.",
        "Turn left at the church, cross the bridge, and the hotel is on your right, opposite the station.",
        """
        She had never liked the house, with its narrow stairs and its smell of damp wood, but now that it was to be sold she could not stop \
        walking from room to room, touching the door frames where somebody had marked how tall the children were.
        """,
        """
        The library provides functions to read, write and change archives in several formats. It is used by package managers, file \
        managers and backup programs, and comes with a small tool for the command line. This package contains the files that are needed \
        to build programs with it: header files, a static library, and the description for pkg-config. Version 4 changed the interface, \
        so that programs that were written for version 3 have to be adapted before they can be compiled.
        """,
        """
        Volcanic eruptions can cool the climate for years. When sulphur dioxide reaches the stratosphere it forms droplets that reflect \
        sunlight, and because it does not rain there, they stay for a long time. After Tambora erupted in 1815, snow fell in June in New \
        England, harvests failed across Europe, and the price of grain doubled. Tree rings and ice cores show that it was not the first \
        time: layers of acid in Greenland's ice mark eruptions that nobody wrote about.
        """,
        """
        In this lesson we look at how a compiler turns a program into machine code. First the text is split into tokens; then a parser \
        builds a tree from them, and reports an error where the grammar does not allow what is written. Names are looked up, types are \
        checked, and the tree becomes a list of simple instructions. At last registers are assigned, which is harder than it sounds, and \
        the result is written to an object file. Exercise 3 asks you to do this by hand for a loop that adds the numbers from 1 to 10.
        """,
        """
        The committee met on Tuesday to discuss the budget of the coming year. Members agreed that roads and schools come first, but not \
        on how to pay for them: some want to raise the tax on property, others to sell land near the harbour, which the city bought in \
        1988 and never used. A decision is expected in November. Residents can send their opinion by e-mail or come to the public hearing \
        in the town hall, where an interpreter for sign language will be present.
        """,
        """
        To install the driver, stop all programs that use the card, unload the old module and run the script as root. It asks where the \
        headers of the kernel are; the default is right on most systems. If the screen stays black after the restart, start in recovery \
        mode, remove the file xorg.conf and try again with the option --no-opengl. Known problems: suspend does not work on laptops with \
        two cards, and the fan may be louder than before until the first update of the firmware.
        """,
    ]
}
