"""The Seller's answers about SKUs and products, in every form the settings ask for.

Sources: contract sections A2, A3 and G1 row 21.
"""

from sandbox import catalog_data as data
from sandbox.base import date_in
from sandbox.catalog import Sku
from sandbox.config import Settings
from sandbox.protocol import SELLER, Json

_KEPT = frozenset({"Id", "ProductId", "IsActive", "IsProductActive", "SalesChannels", "ProductName", "SkuName"})
_KEPT_OF_PRODUCT = frozenset({"Id", "Name", "IsActive", "BrandId", "CategoryId", "DepartmentId", "ListStoreId"})


def sku_document(sku: Sku, channels: list[int], account: str, settings: Settings) -> Json:
    """The answer to a SKU read (contract section A2)."""
    brand_id, brand_name = data.brand(sku)
    images = [
        {"ImageUrl": url, "ImageName": name, "FileId": file_id} for file_id, name, url in data.images(sku, account)
    ]
    codes = {"Ean": data.ean(sku), "RefId": data.ref_id(sku)}
    document: Json = {
        "Id": int(sku.id),
        "ProductId": sku.product,
        "NameComplete": sku.name,
        "ComplementName": "",
        "ProductName": data.product_name(sku),
        "ProductDescription": data.description(sku),
        "ProductRefId": data.product_ref_id(sku),
        "TaxCode": "",
        "SkuName": data.sku_name(sku),
        "IsActive": sku.active,
        "IsTransported": True,
        "IsInventoried": True,
        "IsGiftCardRecharge": False,
        "ImageUrl": images[0]["ImageUrl"] if images else "",
        "DetailUrl": f"/{data.link_id(sku)}/p",
        "CSCIdentification": None,
        "BrandId": str(brand_id),
        "BrandName": brand_name,
        "Dimension": data.dimension(sku).model_dump(),
        "RealDimension": {
            "realCubicWeight": 0.0,
            "realHeight": 0.0,
            "realLength": 0.0,
            "realWeight": 0.0,
            "realWidth": 0.0,
        },
        "ManufacturerCode": "",
        "IsKit": sku.is_kit,
        "KitItems": [],
        "Services": [],
        "Categories": [],
        "Attachments": [],
        "Collections": [],
        "SkuSellers": [
            {
                "SellerId": SELLER,
                "StockKeepingUnitId": int(sku.id),
                "SellerStockKeepingUnitId": sku.id,
                "IsActive": sku.active,
                "FreightCommissionPercentage": 0.0,
                "ProductCommissionPercentage": 0.0,
            },
        ],
        "SalesChannels": channels,
        "Images": images,
        "Videos": [],
        "SkuSpecifications": _specifications(data.specifications(sku), settings),
        "ProductSpecifications": _specifications(data.product_specifications(sku), settings),
        "ProductClustersIds": "14",
        "ProductCategoryIds": data.category_path(sku),
        "ProductGlobalCategoryId": None,
        "ProductCategories": data.categories(sku),
        "CommercialConditionId": 1,
        "RewardValue": 0.0,
        "AlternateIds": codes,
        "AlternateIdValues": [code for code in codes.values() if code],
        "EstimatedDateArrival": None,
        "MeasurementUnit": sku.measurement_unit,
        "UnitMultiplier": sku.unit_multiplier,
        "InformationSource": "Indexer",
        "ModalType": None,
        "KeyWords": data.material(sku).lower(),
        "ReleaseDate": date_in(settings.catalog_dates, data.released(sku)),
        "ProductIsVisible": True,
        "ShowIfNotAvailable": False,
        "IsProductActive": sku.product_active,
        "ProductFinalScore": 0,
    }
    if settings.is_product_active == "absent":
        del document["IsProductActive"]
    return _finished(document, _KEPT, settings)


def product_document(sku: Sku, channels: list[int] | None, settings: Settings) -> Json:
    """The answer to a product read (contract section A3), from one of its SKUs.

    `channels`: those of all its SKUs, for the older route alone, which calls them stores.
    """
    path = list(data.categories(sku))
    document: Json = {
        "Id": sku.product,
        "Name": data.product_name(sku),
        "DepartmentId": int(path[0]) if path else 0,
        "CategoryId": int(path[-1]) if path else 0,
        "BrandId": data.brand(sku)[0],
        "LinkId": data.link_id(sku),
        "RefId": data.product_ref_id(sku),
        "IsVisible": True,
        "Description": data.description(sku),
        "DescriptionShort": data.product_name(sku),
        "ReleaseDate": date_in(settings.catalog_dates, data.released(sku)),
        "KeyWords": data.material(sku).lower(),
        "Title": data.product_name(sku),
        "IsActive": sku.product_active,
        "TaxCode": "",
        "MetaTagDescription": data.product_name(sku),
        "SupplierId": 1,
        "ShowWithoutStock": False,
        "AdWordsRemarketingCode": "",
        "LomadeeCampaignCode": "",
    }
    document |= {"Score": 1} if channels is None else {"ListStoreId": channels}
    return _finished(document, _KEPT_OF_PRODUCT, settings)


def _specifications(found: list[data.Specification], settings: Settings) -> list[Json]:
    return [
        {
            "FieldId": one.field_id,
            "FieldName": one.name,
            "FieldValueIds": [] if settings.specification_value_ids == "empty" else one.value_ids,
            "FieldValues": one.values,
            "IsFilter": True,
            "FieldGroupId": 3,
            "FieldGroupName": "Details",
        }
        for one in found
    ]


def _finished(document: Json, kept: frozenset[str], settings: Settings) -> Json:
    if settings.null_heavy:
        document = {key: value if key in kept else None for key, value in document.items()}
    if settings.unknown_fields:
        document |= {"XmlFeeds": [], "IsBrandActive": True, "FutureField": {"Nested": [1, None, "x"]}}
    return document
