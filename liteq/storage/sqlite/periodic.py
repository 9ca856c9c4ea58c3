"""The verbs about periodic tasks: slots and the timetable."""

from __future__ import annotations

from liteq.storage.sqlite import sql
from liteq.storage.sqlite.database import Database


class PeriodicVerbs:
    """The slots that have fired and the timetable of one queue in the file."""

    name: str
    database: Database

    def take_slot(self, name: str, slot: int) -> bool:
        """See the contract."""
        with self.database.write() as transaction:
            return transaction.connection.execute(sql.TAKE_SLOT, (self.name, name, slot)).get is not None

    def know_slot(self, name: str, slot: int) -> int:
        """See the contract."""
        with self.database.write() as transaction:
            return int(transaction.connection.execute(sql.KNOW_SLOT, (self.name, name, slot)).get)

    def forget_slot(self, name: str) -> None:
        """See the contract."""
        with self.database.write() as transaction:
            transaction.connection.execute(sql.FORGET_SLOT, (self.name, name))

    def replace_entry(self, name: str, old: str | None, new: str | None) -> bool:
        """See the contract."""
        with self.database.write() as transaction:
            connection = transaction.connection
            if connection.execute(sql.GET_ENTRY, (self.name, name)).get != old:
                return False
            if new is None:
                connection.execute(sql.DELETE_ENTRY, (self.name, name))
            else:
                connection.execute(sql.PUT_ENTRY, (self.name, name, new))
            connection.execute(sql.COUNT_CHANGE_OF_TIMETABLE, (self.name,))
            transaction.new_work = True
            return True

    def entry(self, name: str) -> str | None:
        """See the contract."""
        with self.database.read() as connection:
            entry: str | None = connection.execute(sql.GET_ENTRY, (self.name, name)).get
            return entry

    def entries(self) -> dict[str, str]:
        """See the contract."""
        with self.database.read() as connection:
            return dict(connection.execute(sql.ENTRIES, (self.name,)))

    def timetable_version(self) -> int:
        """See the contract."""
        with self.database.read() as connection:
            return int(connection.execute(sql.TIMETABLE_VERSION, (self.name,)).get or 0)
